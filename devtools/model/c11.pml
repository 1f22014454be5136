/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * C11's memory orders for spin, whose own variables are sequentially consistent.
 *
 * A store to an atomic is a message, kept in the order of the stores to that place;
 * each thread has a view: the oldest message of each place that it may still read.
 * A relaxed load reads any message from there on. A release store leaves the view
 * of its thread in the message, an acquire load takes it over. A seq_cst access
 * goes through the common view `sc` for its own place only, a seq_cst fence for
 * all places: that is what makes store buffering impossible, or not. Plain memory
 * has no values here: an access needs to know of the access before it, read or
 * write, or that is a data race, and the check ends. (What plain memory holds is
 * kept in ordinary variables beside it.)
 *
 * litmus.pml holds this machine against the outcomes that C11 allows and forbids.
 * Not modelled: loads that see a later store of their own thread's future (load
 * buffering without a dependency), and two stores to one place that get another
 * order than they are executed in. No edge here rests on either being impossible.
 *
 * Wanted from whoever includes this: NT threads, NATOM atomics (places 0 to
 * NATOM - 1), NLOC places in all, HIST messages of one place that may be readable.
 */
c_decl {
	/* spin refuses parentheses in c_expr for fear of side effects. */
\#define OF (
\#define END )
	struct c11_view { unsigned char ts[NLOC]; };
	struct c11_msg { unsigned char val; struct c11_view v; };
	struct c11 {
		struct c11_view thread[NT], sc;
		unsigned char last[NATOM];
		unsigned short blind[NT];	/* places that the thread never loads from */
		struct c11_msg msg[NATOM][HIST];
	};
	enum { RLX = 0, ACQ = 1, REL = 2, ACQREL = 3, SC = 7 };
	enum { ANY, SAME, OTHER, SAME_BIT0 };
}
c_state "struct c11 mem" "Global"
c_code {
	static void c11_join(struct c11_view *a, const struct c11_view *b)
	{
		int l;
		for (l = 0; l < NLOC; l++)
			if (a->ts[l] < b->ts[l])
				a->ts[l] = b->ts[l];
	}
	/* Forget messages that nobody can read, so that equal states are equal. */
	static void c11_cut(struct c11_view *v, int l, int base)
	{
		v->ts[l] = v->ts[l] > base ? v->ts[l] - base : 0;
	}
	static void c11_settle(int l)
	{
		int i, j, base = now.mem.last[l];
		for (i = 0; i < NT; i++)
			if (now.mem.thread[i].ts[l] < base && !(now.mem.blind[i] >> l & 1))
				base = now.mem.thread[i].ts[l];
		if (base == 0)
			return;
		for (i = 0; i < NT; i++)
			c11_cut(&now.mem.thread[i], l, base);
		c11_cut(&now.mem.sc, l, base);
		for (i = 0; i <= now.mem.last[l] - base; i++)
			now.mem.msg[l][i] = now.mem.msg[l][i + base];
		for (; i <= now.mem.last[l]; i++)
			memset(&now.mem.msg[l][i], 0, sizeof(now.mem.msg[l][i]));
		now.mem.last[l] -= base;
		for (j = 0; j < NATOM; j++)
			for (i = 0; i <= now.mem.last[j]; i++)
				c11_cut(&now.mem.msg[j][i].v, l, base);
	}
	static int c11_from(int t, int l, int order)
	{
		int from = now.mem.thread[t].ts[l];
		return order == SC && now.mem.sc.ts[l] > from ? now.mem.sc.ts[l] : from;
	}
	/* How many messages may be read; number 0 is the last one. */
	static int c11_choices(int t, int l, int order)
	{
		return now.mem.last[l] - c11_from(t, l, order) + 1;
	}
	static int c11_see(int l, int age)
	{
		return now.mem.msg[l][now.mem.last[l] - age].val;
	}
	static int c11_last(int l)
	{
		return c11_see(l, 0);
	}
	/* Whether thread t may read the message of this age, and is after its value. */
	static int c11_fits(int t, int l, int order, int val, int what, int age)
	{
		if (age >= c11_choices(t, l, order))
			return 0;
		if (what == SAME_BIT0)
			return ((c11_see(l, age) ^ val) & 1) == 0;
		return what == ANY || (c11_see(l, age) == val) == (what == SAME);
	}
	static int c11_may(int t, int l, int order, int val, int what)
	{
		int age;
		for (age = 0; age < HIST; age++)
			if (c11_fits(t, l, order, val, what, age))
				return 1;
		return 0;
	}
	static int c11_load(int t, int l, int age, int order)
	{
		int ts = now.mem.last[l] - age;
		int val = now.mem.msg[l][ts].val;
		now.mem.thread[t].ts[l] = ts;
		if (order & ACQ)
			c11_join(&now.mem.thread[t], &now.mem.msg[l][ts].v);
		if (order == SC && now.mem.sc.ts[l] < ts)
			now.mem.sc.ts[l] = ts;
		c11_settle(l);
		return val;
	}
	static void c11_put(int t, int l, int val, int order, int rmw)
	{
		int ts = now.mem.last[l] + 1;
		struct c11_msg *msg = &now.mem.msg[l][ts];
		if (ts == HIST) {
			puts("HIST is too small");
			exit(9);
		}
		now.mem.last[l] = ts;
		now.mem.thread[t].ts[l] = ts;
		msg->val = val;
		memset(&msg->v, 0, sizeof(msg->v));
		/* A release sequence goes on through read-modify-writes. */
		if (rmw)
			msg->v = msg[-1].v;
		if (order & REL)
			c11_join(&msg->v, &now.mem.thread[t]);
		msg->v.ts[l] = ts;
		if (order == SC)
			now.mem.sc.ts[l] = ts;
		c11_settle(l);
	}
	static int c11_rmw(int t, int l, int val, int order)
	{
		const struct c11_msg *msg = &now.mem.msg[l][now.mem.last[l]];
		int old = msg->val;
		if (order & ACQ)
			c11_join(&now.mem.thread[t], &msg->v);
		c11_put(t, l, val, order, 1);
		return old;
	}
	static void c11_fence(int t)
	{
		c11_join(&now.mem.thread[t], &now.mem.sc);
		now.mem.sc = now.mem.thread[t];
	}
	/* Plain memory: 1 is "has seen the last access", which is all that counts. */
	static int c11_plain(int t, int l)
	{
		int i, j, raced = now.mem.thread[t].ts[l] == 0;
		for (i = 0; i < NT; i++)
			now.mem.thread[i].ts[l] = 0;
		now.mem.sc.ts[l] = 0;
		for (i = 0; i < NATOM; i++)
			for (j = 0; j <= now.mem.last[i]; j++)
				now.mem.msg[i][j].v.ts[l] = 0;
		now.mem.thread[t].ts[l] = 1;
		return raced;
	}
	static void c11_init(void)
	{
		int i, l;
		for (l = NATOM; l < NLOC; l++)
			for (i = 0; i < NT; i++)
				now.mem.thread[i].ts[l] = 1;
	}
}

/* Scratch, used within one atomic and 0 outside. t, l, order and val are read by C, in
 * which the global x of a model is now.x. */
byte pick, reg;

/* One of those messages that may be read, by age; HIST is 8 at the most. */
#define PICK(t, l, order, val, any) \
	if \
	:: c_expr { c11_fits OF t, l, order, val, any, 0 END } \
	:: c_expr { c11_fits OF t, l, order, val, any, 1 END } -> pick = 1 \
	:: c_expr { c11_fits OF t, l, order, val, any, 2 END } -> pick = 2 \
	:: c_expr { c11_fits OF t, l, order, val, any, 3 END } -> pick = 3 \
	:: c_expr { c11_fits OF t, l, order, val, any, 4 END } -> pick = 4 \
	:: c_expr { c11_fits OF t, l, order, val, any, 5 END } -> pick = 5 \
	:: c_expr { c11_fits OF t, l, order, val, any, 6 END } -> pick = 6 \
	:: c_expr { c11_fits OF t, l, order, val, any, 7 END } -> pick = 7 \
	fi
#define TAKE(t, l, order) \
	c_code { now.reg = c11_load(t, l, now.pick, order); now.pick = 0; }

/* dst = any value that an atomic load of this order may give. */
#define LOAD(t, l, order, dst) atomic { \
	PICK(t, l, order, 0, ANY); TAKE(t, l, order); dst = reg; reg = 0 }

/* Poll until the value is there; who waits in vain is a process that does not end. */
#define AWAIT(t, l, order, val) atomic { \
	PICK(t, l, order, val, SAME); TAKE(t, l, order); reg = 0 }
/* ... or is another. */
#define AWAIT_NOT(t, l, order, val, dst) atomic { \
	PICK(t, l, order, val, OTHER); TAKE(t, l, order); dst = reg; reg = 0 }

/* ... or has this lowest bit. */
#define AWAIT_BIT0(t, l, order, val, dst) atomic { \
	PICK(t, l, order, val, SAME_BIT0); TAKE(t, l, order); dst = reg; reg = 0 }

/* What the place holds in the end, when all is quiet; reads nothing. */
#define LAST(l)			c_expr { c11_last OF l END }

#define STORE(t, l, order, val)	c_code { c11_put(t, l, val, order, 0); }
#define FENCE(t)		c_code { c11_fence(t); }
#define XCHG(t, l, order, val, dst) atomic { \
	c_code { now.reg = c11_rmw(t, l, val, order); }; dst = reg; reg = 0 }
#define ADD(t, l, order, n) \
	c_code { c11_rmw(t, l, (c11_last(l) + (n)) & 255, order); }

/* dst = whether it was exchanged; a failure reads, relaxed, what it pleases. */
#define CAS(t, l, order, old, val, dst) atomic { \
	if \
	:: c_expr { c11_last OF l END == (old) } -> \
		c_code { c11_rmw(t, l, val, order); }; dst = 1 \
	:: c_expr { c11_may OF t, l, RLX, old, OTHER END } -> \
		PICK(t, l, RLX, old, OTHER); TAKE(t, l, RLX); reg = 0; dst = 0 \
	fi }

/* A read or a write of plain memory. */
#define PLAIN(t, l) atomic { \
	c_code { now.reg = c11_plain(t, l); }; assert(reg == 0) }

/* The thread never loads from there: fewer states. */
#define C11_BLIND(t, l)		c_code { now.mem.blind[t] |= 1 << (l); }
#define C11_INIT		c_code { c11_init(); }
#define C11_SET(l, v)		c_code { now.mem.msg[l][0].val = (v); }
