/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trace points, for DPDK's --trace: CTF files that babeltrace2 reads.
 *
 *   lib.svm.bind       a process got a bond, or was refused
 *   lib.svm.unbind     a bond ended
 *   lib.svm.fault      an operation ended in a fault, as rte_svm_fault_poll() tells it
 *   lib.svm.submit     the engine took an operation from a queue     } with trace_fp
 *   lib.svm.complete   an operation has its final status             } only
 *
 * The last two stand on the hot path. As DPDK does it, they are compiled in only when
 * the tree is configured with -Dtrace_fp=true, and cost nothing otherwise. A queue is
 * named by its memory's address, an operation in it by its counter.
 */
#ifndef SVM_TRACE_H
#define SVM_TRACE_H

#include <stdint.h>

#include <rte_trace_point.h>

#ifdef __cplusplus
extern "C" {
#endif

RTE_TRACE_POINT(
	svm_trace_bind,
	RTE_TRACE_POINT_ARGS(uint16_t dev_id, int32_t pid, uint64_t bond, int32_t ret),
	rte_trace_point_emit_u16(dev_id);
	rte_trace_point_emit_i32(pid);
	rte_trace_point_emit_u64(bond);
	rte_trace_point_emit_i32(ret);
)

RTE_TRACE_POINT(
	svm_trace_unbind,
	RTE_TRACE_POINT_ARGS(uint16_t dev_id, uint64_t bond),
	rte_trace_point_emit_u16(dev_id);
	rte_trace_point_emit_u64(bond);
)

RTE_TRACE_POINT(
	svm_trace_fault,
	RTE_TRACE_POINT_ARGS(uint64_t bond, uint32_t pasid, uint64_t addr, uint64_t cookie,
		uint8_t write, uint8_t status),
	rte_trace_point_emit_u64(bond);
	rte_trace_point_emit_u32(pasid);
	rte_trace_point_emit_u64(addr);
	rte_trace_point_emit_u64(cookie);
	rte_trace_point_emit_u8(write);
	rte_trace_point_emit_u8(status);
)

RTE_TRACE_POINT_FP(
	svm_trace_submit,
	RTE_TRACE_POINT_ARGS(const void *queue, uint32_t counter, uint8_t op, uint32_t len,
		uint32_t src_space, uint64_t src, uint32_t dst_space, uint64_t dst),
	rte_trace_point_emit_ptr(queue);
	rte_trace_point_emit_u32(counter);
	rte_trace_point_emit_u8(op);
	rte_trace_point_emit_u32(len);
	rte_trace_point_emit_u32(src_space);
	rte_trace_point_emit_u64(src);
	rte_trace_point_emit_u32(dst_space);
	rte_trace_point_emit_u64(dst);
)

RTE_TRACE_POINT_FP(
	svm_trace_complete,
	RTE_TRACE_POINT_ARGS(const void *queue, uint32_t counter, uint8_t status, uint64_t done),
	rte_trace_point_emit_ptr(queue);
	rte_trace_point_emit_u32(counter);
	rte_trace_point_emit_u8(status);
	rte_trace_point_emit_u64(done);
)

#ifdef __cplusplus
}
#endif

#endif /* SVM_TRACE_H */
