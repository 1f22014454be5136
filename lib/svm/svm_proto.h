/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker and an owner say to each other over the owner's unix socket
 * (SOCK_SEQPACKET). C11 without DPDK, shared by both libraries; doc/protocol.md
 * tells the same as a story.
 *
 *   worker                          owner
 *   HELLO              ---------->           versions and features offered
 *                      <----------  HELLO_REPLY    what was chosen, limits
 *   BIND               ---------->           pid comes from the kernel
 *                      <----------  CHALLENGE      a nonce, once the process is opened
 *   PROOF              ---------->           the nonce; it stands where BIND said
 *                      <----------  PROOF_REPLY    bond
 *   QUEUE_CREATE       ---------->
 *                      <----------  QUEUE_CREATE_REPLY + memfd (SCM_RIGHTS)
 *   WINDOW_LIST        ---------->           from behind a place in the list
 *                      <----------  WINDOW_LIST_REPLY    some windows, and the place
 *   MEM_CREATE         ---------->
 *                      <----------  MEM_CREATE_REPLY + memfd (SCM_RIGHTS)
 *   MEM_MAP + file     ---------->           a part of it stands at an address
 *                      <----------  MEM_MAP_REPLY
 *   MEM_UNMAP          ---------->           it does no more
 *                      <----------  MEM_UNMAP_REPLY
 *   MEM_WATCH + uffd   ---------->           what tells that it does no more
 *                      <----------  MEM_WATCH_REPLY
 *   MEM_DESTROY        ---------->
 *                      <----------  MEM_DESTROY_REPLY
 *   DOORBELL           ---------->           no reply
 *   QUEUE_DESTROY      ---------->
 *                      <----------  QUEUE_DESTROY_REPLY
 *   UNBIND             ---------->
 *                      <----------  UNBIND_REPLY
 *   (hang up)
 *
 * Rules. One packet is one message, of exactly the size of its type. Integers
 * are in host order: both ends are on one machine. Reserved fields are 0, and
 * checked. `status` is 0 or -errno. A worker has at most one request under way;
 * the reply carries its sequence. A request that is well formed but cannot be
 * met gets its own reply with a status and the connection goes on; a message
 * that breaks the rules gets ERROR and the connection ends.
 */
#ifndef SVM_PROTO_H
#define SVM_PROTO_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#define SVM_PROTO_MAGIC		0x504d5653u	/* "SVMP", little endian */
/** Versions this source speaks. */
#define SVM_PROTO_VERSION_MIN	1u
#define SVM_PROTO_VERSION_MAX	1u
/** The owner makes memory for the worker: MEM_*. */
#define SVM_PROTO_F_MEM		UINT64_C(0x1)
/** Feature bits this source knows. Unknown offers are ignored. */
#define SVM_PROTO_FEATURES	SVM_PROTO_F_MEM
/** Queues one worker may have, when the owner allows as many. */
#define SVM_PROTO_QUEUES_MAX	64u

/** Bytes of a nonce, and of the worker's memory that BIND names for it. */
#define SVM_NONCE_LEN		16u

/** Windows in one WINDOW_LIST_REPLY. */
#define SVM_PROTO_WINDOWS	8u

/** Memories one worker may have of its owner at a time. */
#define SVM_PROTO_MEMS		128u

/** Pages of a memory: wished for, and given. */
enum svm_msg_page {
	SVM_MSG_PAGE_BEST = 0,		/**< a wish: the largest that there are */
	SVM_MSG_PAGE_SMALL = 1,		/**< the system's, 4 KiB */
	SVM_MSG_PAGE_TRANSPARENT = 2,	/**< the same, and huge where the kernel can */
	SVM_MSG_PAGE_HUGE = 3,		/**< hugetlb, 2 MiB */
};

/** Low bits name the request; SVM_MSG_REPLY set makes its reply. */
#define SVM_MSG_REPLY		0x80u

enum svm_msg_type {
	SVM_MSG_HELLO = 1,
	SVM_MSG_BIND = 2,
	SVM_MSG_UNBIND = 3,
	SVM_MSG_QUEUE_CREATE = 4,
	SVM_MSG_QUEUE_DESTROY = 5,
	SVM_MSG_DOORBELL = 6,		/**< has no reply */
	SVM_MSG_WINDOW_LIST = 10,
	SVM_MSG_PROOF = 16,
	SVM_MSG_MEM_CREATE = 17,
	SVM_MSG_MEM_DESTROY = 18,
	SVM_MSG_MEM_MAP = 19,
	SVM_MSG_MEM_UNMAP = 20,
	SVM_MSG_MEM_WATCH = 21,

	SVM_MSG_HELLO_REPLY = SVM_MSG_HELLO | SVM_MSG_REPLY,
	SVM_MSG_CHALLENGE = SVM_MSG_BIND | SVM_MSG_REPLY,
	SVM_MSG_PROOF_REPLY = SVM_MSG_PROOF | SVM_MSG_REPLY,
	SVM_MSG_UNBIND_REPLY = SVM_MSG_UNBIND | SVM_MSG_REPLY,
	SVM_MSG_QUEUE_CREATE_REPLY = SVM_MSG_QUEUE_CREATE | SVM_MSG_REPLY,
	SVM_MSG_QUEUE_DESTROY_REPLY = SVM_MSG_QUEUE_DESTROY | SVM_MSG_REPLY,
	SVM_MSG_WINDOW_LIST_REPLY = SVM_MSG_WINDOW_LIST | SVM_MSG_REPLY,
	SVM_MSG_MEM_CREATE_REPLY = SVM_MSG_MEM_CREATE | SVM_MSG_REPLY,
	SVM_MSG_MEM_DESTROY_REPLY = SVM_MSG_MEM_DESTROY | SVM_MSG_REPLY,
	SVM_MSG_MEM_MAP_REPLY = SVM_MSG_MEM_MAP | SVM_MSG_REPLY,
	SVM_MSG_MEM_UNMAP_REPLY = SVM_MSG_MEM_UNMAP | SVM_MSG_REPLY,
	SVM_MSG_MEM_WATCH_REPLY = SVM_MSG_MEM_WATCH | SVM_MSG_REPLY,

	SVM_MSG_ERROR = 0xff,		/**< owner: why it hangs up now */
};

/** Starts every message. This layout is the same in all versions. */
struct svm_msg_hdr {
	uint32_t magic;		/**< SVM_PROTO_MAGIC */
	uint16_t version;	/**< the chosen one; not looked at in HELLO, its reply, ERROR */
	uint16_t type;		/**< enum svm_msg_type */
	uint32_t len;		/**< bytes of the whole message */
	uint32_t seq;		/**< request: any but 0; reply: the request's; else 0 */
};

/** First message of a connection. Same layout in all versions. */
struct svm_msg_hello {
	struct svm_msg_hdr hdr;
	uint16_t version_min;
	uint16_t version_max;
	uint32_t reserved;
	uint64_t features;	/**< offered */
};

/**
 * Same layout in all versions. Status: 0; -EPROTONOSUPPORT: no version in
 * common, `version` is the highest the owner speaks; -EINVAL: an empty range;
 * -EUSERS: the owner is full, sent without waiting for HELLO (seq 0). After a
 * status other than 0 the owner hangs up.
 */
struct svm_msg_hello_reply {
	struct svm_msg_hdr hdr;
	int32_t status;
	uint16_t version;	/**< chosen for all that follows */
	uint16_t reserved;
	uint64_t features;	/**< in force: offered, and known to the owner */
	uint32_t max_depth;
	uint32_t max_queues;	/**< for this worker */
};

/** Bind the sender: the kernel says who that is, not the message. */
struct svm_msg_bind {
	struct svm_msg_hdr hdr;
	uint64_t user;		/**< handed to the owner's application, not looked at */
	uint64_t word;		/**< address of SVM_NONCE_LEN bytes for the nonce */
};

struct svm_nonce {
	uint8_t byte[SVM_NONCE_LEN];
};

/**
 * The answer to BIND: the sender writes the nonce to its word, then sends PROOF.
 * Status other than 0 ends the request: -EEXIST, -EPERM, -ESRCH, -ETIMEDOUT, ...
 */
struct svm_msg_challenge {
	struct svm_msg_hdr hdr;
	int32_t status;
	uint32_t reserved;
	struct svm_nonce nonce;
};

/** Status: 0, -EPERM, -EFAULT, -ESRCH, -ENOSPC, -ETIMEDOUT, -ENOMEM, ... */
struct svm_msg_proof_reply {
	struct svm_msg_hdr hdr;
	int32_t status;
	uint32_t reserved;
	uint64_t bond;
};

/** Shows that it was written after the CHALLENGE: messages can wait in a socket. */
struct svm_msg_proof {
	struct svm_msg_hdr hdr;
	struct svm_nonce nonce;
};

/** UNBIND, DOORBELL, and MEM_WATCH with one descriptor: nothing but the header. */
struct svm_msg_plain {
	struct svm_msg_hdr hdr;
};

/**
 * Replies that carry only a status, and ERROR.
 * UNBIND: 0, -ENOENT: not bound, -EBUSY: queues exist or work is in flight.
 * QUEUE_DESTROY: 0, -ENOENT: no such queue, -EBUSY: work is in flight.
 * MEM_DESTROY: 0, -ENOENT: no such memory.
 * MEM_MAP: 0, -ENOENT: not bound, -EINVAL: not a multiple of the file's page, no
 * bytes, it wraps, rights, or beyond the file's end, -EPERM: no file that is sealed
 * against shrinking, -EACCES: the file does not give these rights, -EEXIST: a part
 * of the range is mapped, -ENOSPC: a limit, -ENOMEM.
 * MEM_UNMAP: 0, -ENOENT: not bound, or nothing of it is mapped.
 * MEM_WATCH: 0, -ENOENT: not bound, -EINVAL: no userfaultfd, -EEXIST: it has one.
 * MEM_*: -EOPNOTSUPP: the owner has no SVM_PROTO_F_MEM; MAP, UNMAP, WATCH: it maps
 * nothing, and reaches the memory as any other.
 * ERROR: -EMSGSIZE: wrong length; -EPROTO: magic, version, order, or surplus
 * descriptors; -EOPNOTSUPP: unknown type; -EINVAL: a reserved field is not 0;
 * -EPERM: sent by another process than the one that connected; -ETIMEDOUT: no
 * HELLO in time.
 */
struct svm_msg_status {
	struct svm_msg_hdr hdr;
	int32_t status;
	uint32_t reserved;
};

struct svm_msg_queue_create {
	struct svm_msg_hdr hdr;
	uint32_t depth;		/**< power of two, SVM_DEPTH_MIN to max_depth */
	uint32_t features;	/**< SVM_QF_MULTI_PRODUCER or 0 */
};

/**
 * Status: 0, and the queue's memory comes along as one descriptor; -EINVAL:
 * depth or features; -ENOENT: not bound; -ENOSPC: no more queues; -ENOMEM, ...
 */
struct svm_msg_queue_create_reply {
	struct svm_msg_hdr hdr;
	int32_t status;
	uint32_t queue;		/**< names the queue in QUEUE_DESTROY */
	uint32_t depth;		/**< as asked */
	uint32_t features;	/**< as asked, and SVM_QF_MAY_SLEEP perhaps */
	uint64_t size;		/**< bytes of the memfd */
};

struct svm_msg_queue_destroy {
	struct svm_msg_hdr hdr;
	uint32_t queue;
	uint32_t reserved;
};

/** The windows granted to the sender's bond: ask again with `after` of the reply. */
struct svm_msg_window_list {
	struct svm_msg_hdr hdr;
	uint64_t after;		/**< 0 for the first ones */
	uint64_t reserved;
};

/** A window as its grantee may know it. */
struct svm_msg_window {
	uint32_t id;		/**< of the space SVM_SPACE_WINDOW */
	uint32_t rights;	/**< 1 read, 2 write */
	uint64_t len;
	uint64_t user;		/**< the owner's name for it */
};

/** Status: 0, -ENOENT: not bound. */
struct svm_msg_window_list_reply {
	struct svm_msg_hdr hdr;
	int32_t status;
	uint32_t nb;		/**< windows here; less than SVM_PROTO_WINDOWS: the last */
	uint64_t after;		/**< where the list goes on; never goes back */
	struct svm_msg_window window[SVM_PROTO_WINDOWS];	/**< the rest is 0 */
};

/** Memory of the owner's making. */
struct svm_msg_mem_create {
	struct svm_msg_hdr hdr;
	uint64_t len;		/**< bytes, made a multiple of the pages given */
	uint32_t page;		/**< enum svm_msg_page: the largest wished for */
	int32_t node;		/**< preferred NUMA node; -1: the owner's device's */
};

/**
 * Status: 0, and the memory comes along as one descriptor, sealed; -EINVAL: length,
 * pages or node; -ENOENT: not bound; -ENOSPC: a limit; -EMFILE: the owner has no
 * descriptor for it; -ENOMEM, ...
 */
struct svm_msg_mem_create_reply {
	struct svm_msg_hdr hdr;
	int32_t status;
	uint32_t mem;		/**< names the memory in MEM_DESTROY */
	uint64_t len;		/**< of the file */
	uint64_t page_size;	/**< of the file; ranges are multiples of it */
	uint32_t page;		/**< enum svm_msg_page: what it has */
	uint32_t reserved;
};

/** The pages go back to the system, whoever has them mapped. Without it they stay. */
struct svm_msg_mem_destroy {
	struct svm_msg_hdr hdr;
	uint32_t mem;
	uint32_t reserved;
};

/** With one descriptor: of a memory of the owner's, or another file sealed against shrinking. */
struct svm_msg_mem_map {
	struct svm_msg_hdr hdr;
	uint64_t addr;		/**< where it stands in the worker */
	uint64_t len;
	uint64_t off;		/**< where that begins in the file */
	uint32_t rights;	/**< 1 read, 2 write */
	uint32_t reserved;
};

/** Any part of what is mapped; several ranges at once, too. */
struct svm_msg_mem_unmap {
	struct svm_msg_hdr hdr;
	uint64_t addr;
	uint64_t len;
};

/** Room for any message, and for one byte more than any. */
union svm_msg {
	struct svm_msg_hdr hdr;
	struct svm_msg_hello hello;
	struct svm_msg_hello_reply hello_reply;
	struct svm_msg_bind bind;
	struct svm_msg_challenge challenge;
	struct svm_msg_proof proof;
	struct svm_msg_proof_reply proof_reply;
	struct svm_msg_plain plain;
	struct svm_msg_status status;
	struct svm_msg_queue_create queue_create;
	struct svm_msg_queue_create_reply queue_create_reply;
	struct svm_msg_queue_destroy queue_destroy;
	struct svm_msg_window_list window_list;
	struct svm_msg_window_list_reply window_list_reply;
	struct svm_msg_mem_create mem_create;
	struct svm_msg_mem_create_reply mem_create_reply;
	struct svm_msg_mem_destroy mem_destroy;
	struct svm_msg_mem_map mem_map;
	struct svm_msg_mem_unmap mem_unmap;
	uint8_t raw[232];
};

_Static_assert(sizeof(struct svm_msg_hdr) == 16, "no padding");
_Static_assert(sizeof(struct svm_msg_hello) == 32, "no padding");
_Static_assert(sizeof(struct svm_msg_hello_reply) == 40, "no padding");
_Static_assert(sizeof(struct svm_msg_bind) == 32, "no padding");
_Static_assert(sizeof(struct svm_msg_challenge) == 40, "no padding");
_Static_assert(sizeof(struct svm_msg_proof) == 32, "no padding");
_Static_assert(sizeof(struct svm_msg_proof_reply) == 32, "no padding");
_Static_assert(sizeof(struct svm_msg_status) == 24, "no padding");
_Static_assert(sizeof(struct svm_msg_queue_create) == 24, "no padding");
_Static_assert(sizeof(struct svm_msg_queue_create_reply) == 40, "no padding");
_Static_assert(sizeof(struct svm_msg_queue_destroy) == 24, "no padding");
_Static_assert(sizeof(struct svm_msg_window_list) == 32, "no padding");
_Static_assert(sizeof(struct svm_msg_window_list_reply) == 224, "no padding");
_Static_assert(sizeof(struct svm_msg_mem_create) == 32, "no padding");
_Static_assert(sizeof(struct svm_msg_mem_create_reply) == 48, "no padding");
_Static_assert(sizeof(struct svm_msg_mem_destroy) == 24, "no padding");
_Static_assert(sizeof(struct svm_msg_mem_map) == 48, "no padding");
_Static_assert(sizeof(struct svm_msg_mem_unmap) == 32, "no padding");
_Static_assert(sizeof(union svm_msg) == 232, "the longest message and more");

/** Size of a message of this type, 0 for an unknown type. */
static inline uint32_t
svm_msg_size(uint16_t type)
{
	switch (type) {
	case SVM_MSG_HELLO:
		return sizeof(struct svm_msg_hello);
	case SVM_MSG_HELLO_REPLY:
		return sizeof(struct svm_msg_hello_reply);
	case SVM_MSG_BIND:
		return sizeof(struct svm_msg_bind);
	case SVM_MSG_CHALLENGE:
		return sizeof(struct svm_msg_challenge);
	case SVM_MSG_PROOF_REPLY:
		return sizeof(struct svm_msg_proof_reply);
	case SVM_MSG_PROOF:
		return sizeof(struct svm_msg_proof);
	case SVM_MSG_UNBIND:
	case SVM_MSG_DOORBELL:
	case SVM_MSG_MEM_WATCH:
		return sizeof(struct svm_msg_plain);
	case SVM_MSG_UNBIND_REPLY:
	case SVM_MSG_QUEUE_DESTROY_REPLY:
	case SVM_MSG_MEM_DESTROY_REPLY:
	case SVM_MSG_MEM_MAP_REPLY:
	case SVM_MSG_MEM_UNMAP_REPLY:
	case SVM_MSG_MEM_WATCH_REPLY:
	case SVM_MSG_ERROR:
		return sizeof(struct svm_msg_status);
	case SVM_MSG_QUEUE_CREATE:
		return sizeof(struct svm_msg_queue_create);
	case SVM_MSG_QUEUE_CREATE_REPLY:
		return sizeof(struct svm_msg_queue_create_reply);
	case SVM_MSG_QUEUE_DESTROY:
		return sizeof(struct svm_msg_queue_destroy);
	case SVM_MSG_WINDOW_LIST:
		return sizeof(struct svm_msg_window_list);
	case SVM_MSG_WINDOW_LIST_REPLY:
		return sizeof(struct svm_msg_window_list_reply);
	case SVM_MSG_MEM_CREATE:
		return sizeof(struct svm_msg_mem_create);
	case SVM_MSG_MEM_CREATE_REPLY:
		return sizeof(struct svm_msg_mem_create_reply);
	case SVM_MSG_MEM_DESTROY:
		return sizeof(struct svm_msg_mem_destroy);
	case SVM_MSG_MEM_MAP:
		return sizeof(struct svm_msg_mem_map);
	case SVM_MSG_MEM_UNMAP:
		return sizeof(struct svm_msg_mem_unmap);
	default:
		return 0;
	}
}

/** Begin a message: everything but the header is 0. */
static inline void
svm_msg_init(union svm_msg *msg, uint16_t type, uint16_t version, uint32_t seq)
{
	const union svm_msg empty = { .raw = { 0 } };

	*msg = empty;
	msg->hdr.magic = SVM_PROTO_MAGIC;
	msg->hdr.version = version;
	msg->hdr.type = type;
	msg->hdr.len = svm_msg_size(type);
	msg->hdr.seq = seq;
}

/**
 * Check magic, type, length and version of a received message.
 *
 * @param len
 *   Bytes received.
 * @param version
 *   The chosen version; 0 while there is none.
 * @return
 *   0, or a status as ERROR carries it: -EMSGSIZE, -EPROTO, -EOPNOTSUPP.
 */
static inline int
svm_msg_check(const union svm_msg *msg, uint32_t len, uint16_t version)
{
	uint16_t type;

	if (len < sizeof(msg->hdr))
		return -EMSGSIZE;
	type = msg->hdr.type;
	if (msg->hdr.magic != SVM_PROTO_MAGIC)
		return -EPROTO;
	if (svm_msg_size(type) == 0)
		return -EOPNOTSUPP;
	if (msg->hdr.len != len || svm_msg_size(type) != len)
		return -EMSGSIZE;
	if (type == SVM_MSG_HELLO || type == SVM_MSG_HELLO_REPLY || type == SVM_MSG_ERROR)
		return 0;
	return msg->hdr.version == version ? 0 : -EPROTO;
}

#endif /* SVM_PROTO_H */
