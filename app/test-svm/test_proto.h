/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests and their worker process say to each other: one request, one
 * answer, over a SOCK_SEQPACKET pair that the worker inherits as descriptor
 * WK_FD. It has nothing to do with the library's own protocol.
 */
#ifndef TEST_PROTO_H
#define TEST_PROTO_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WK_FD	3

enum wk_cmd {
	WK_HELLO,	/* sent by itself when an image starts: v = pid, page size */
	WK_ALLOC,	/* kind, len, where (0: anywhere) -> address; mmap: PROT_NONE
			 * pages stand on both sides */
	WK_FILL,	/* addr, len -> seed: fresh random bytes */
	WK_VERIFY,	/* addr, len, seed, offset in the pattern -> bytes equal */
	WK_VERIFY_WORD,	/* addr, len, word repeated every 8 bytes -> bytes equal */
	WK_MPROTECT,	/* addr, len, prot */
	WK_MUNMAP,	/* addr, len */
	WK_DUMPABLE,	/* 0 or 1 */
	WK_SETUID,	/* uid = gid, no groups, no capabilities; dumpable again */
	WK_EXEC,	/* the same program again; it says hello */
	WK_EXEC_OTHER,	/* text: a program, which gets the numbers a[0] (hexadecimal), a[1], a[2]
			 * as arguments and answers */
	WK_EXIT,	/* no answer */
	WK_UFFD,	/* len -> address of memory whose faults nobody answers */
	WK_UFFD_FAULTS,	/* -> whether anybody has waited for such a page since it was last asked */
	WK_UFFD_ANSWER,	/* addr, len -> seed: fill the pages */
	WK_EVENTS,	/* addr, len -> descriptor: a userfaultfd tells when it goes or moves */
	WK_MOVE,	/* enum wk_move, addr, len, descriptor, other view -> address, and what a
			 * hash of the other view is right then */
	WK_HASH,	/* addr, len -> hash */
	WK_CONNECT,	/* text: path of the socket */
	WK_BIND,	/* user -> bond */
	WK_UNBIND,
	WK_DISCONNECT,
	WK_QUEUE,	/* depth, flags -> number of the queue */
	WK_QUEUE_END,	/* queue */
	WK_OP,		/* queue, op | flags << 32, src, dst, len, pattern -> status,
			 * done, fault address, cookie */
	WK_SG,		/* queue, src, dst, bytes a piece, pieces, gap -> as WK_OP */
	WK_FLOOD,	/* as WK_OP: again and again, some at a time, until one fails ->
			 * how many were OK, BAD_SPACE, BOND_DEAD, something else */
	WK_WINDOW,	/* number -> how many windows there are, and of the one with this
			 * number: id | rights << 32, length, user */
	WK_TRAFFIC,	/* queue, bytes: copy and verify for ever, in a thread */
	WK_TRAFFIC_LOOK,	/* -> rounds, wrong rounds, last error */
	WK_TRAFFIC_END,	/* -> as WK_TRAFFIC_LOOK */
	WK_PRODUCERS,	/* queue, threads, operations each, bytes -> wrong ones */
	WK_SCRIBBLE,	/* WK_SCRIBBLE_* over the queues' memory, in a thread */
	WK_SCRIBBLE_END,	/* -> rounds */
	WK_HEAP,	/* pages, node + 1, bytes at the most: make the heap */
	WK_HEAP_END,
	WK_HEAP_INFO,	/* -> pages, chunks, bytes, whether they are mapped by the owner, too */
	WK_HEAP_ALLOC,	/* enum wk_heap_alloc, size, count, alignment or old address -> address */
	WK_HEAP_FREE,	/* addr */
	WK_HEAP_CHURN,	/* threads, rounds: allocate, write, check, free -> wrong ones */
	WK_HEAP_FORK,	/* addr of a block -> 0, or what a child could do that it should not */
	WK_FORK_LACKS,		/* addr -> 1: a child has not the 64 bytes that stand there */
	WK_SHARE,	/* addr, len */
	WK_UNSHARE,	/* addr, len */
	WK_QUEUE_MEMORY,	/* enum wk_queue_memory, page: to the first queue's memory */
};

/* How a range of sealed memory goes. */
enum wk_move {
	WK_MOVE_UNMAP,
	WK_MOVE_REMAP,		/* to another address, its contents with it */
	WK_MOVE_OVER,		/* MAP_FIXED: other memory, zeroed */
	WK_MOVE_DONTNEED,
	WK_MOVE_REMOVE,		/* MADV_REMOVE: zeroed */
	WK_MOVE_PUNCH,		/* fallocate: zeroed */
	WK_MOVE_FORK,		/* a child that goes at once */
	WK_MOVE_BACK,		/* the file stands there again, with events */
};

enum wk_queue_memory {
	WK_QUEUE_MEMORY_PAGES,		/* -> how many it has */
	WK_QUEUE_MEMORY_REMOVE,		/* a hole in the file */
	WK_QUEUE_MEMORY_DONTNEED,
	WK_QUEUE_MEMORY_UNMAP,		/* all of it */
	WK_QUEUE_MEMORY_TRUNCATE,	/* -> -errno of: shorter, longer, another seal */
};

enum wk_heap_alloc {
	WK_HEAP_MALLOC,
	WK_HEAP_CALLOC,
	WK_HEAP_ALIGNED,
	WK_HEAP_REALLOC,
};

enum wk_mem {
	WK_MEM_MALLOC,
	WK_MEM_STACK,		/* one at a time */
	WK_MEM_PRIVATE,		/* mmap, page aligned */
	WK_MEM_SHARED,
	WK_MEM_SEALED,		/* a memfd that cannot shrink -> address, its descriptor, the
				 * address of another view of it */
};

#define WK_SCRIBBLE_BYTES	0x1u	/* random bytes over all of the queue */
#define WK_SCRIBBLE_DESC	0x2u	/* random descriptors with valid marks */
#define WK_SCRIBBLE_HDR		0x4u	/* random header */
#define WK_SCRIBBLE_CPL		0x8u	/* random completions */
#define WK_SCRIBBLE_HOLES	0x10u	/* pages taken out of the mapping's file */

struct wk_req {
	uint64_t cmd;
	uint64_t a[6];
	uint32_t src_window, dst_window;	/* of WK_OP, WK_SG, WK_FLOOD */
	char text[108];
};

struct wk_rep {
	int64_t ret;		/* 0 or -errno */
	uint64_t v[4];
};

/** Word number i of the pattern that goes with a seed. */
static inline uint64_t
wk_word(uint64_t seed, uint64_t i)
{
	uint64_t x = seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/** Write len bytes of a pattern, from its byte `off`, a multiple of 8. */
static inline void
wk_pattern_write(void *mem, size_t len, uint64_t seed, uint64_t off)
{
	size_t i;

	for (i = 0; i < len; i += sizeof(uint64_t)) {
		const uint64_t w = wk_word(seed, (off + i) / sizeof(w));

		memcpy((char *)mem + i, &w, len - i < sizeof(w) ? len - i : sizeof(w));
	}
}

/** Bytes that equal the pattern, up to the first that does not. */
static inline size_t
wk_pattern_check(const void *mem, size_t len, uint64_t seed, uint64_t off)
{
	const unsigned char *p = mem;
	size_t i, j;

	for (i = 0; i < len; i += sizeof(uint64_t)) {
		const uint64_t w = wk_word(seed, (off + i) / sizeof(w));
		unsigned char b[sizeof(w)];

		memcpy(b, &w, sizeof(w));
		for (j = 0; j < sizeof(w) && i + j < len; j++)
			if (p[i + j] != b[j])
				return i + j;
	}
	return len;
}

#endif /* TEST_PROTO_H */
