/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations on the owner's own memory: the direct tier. Every access may
 * fault; the exact residue comes back.
 */
#include "svm_copy.h"
#include "svm_engine.h"

static void *
at(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

static void
local_compare(struct svm_op *op)
{
	struct svm_fault_info fault = { 0 };
	bool equal;

	if (op->d.op == SVM_OP_COMPARE)
		op->done = svm_compare(at(op->d.src), at(op->d.dst), op->d.len,
				&equal, &fault);
	else
		op->done = svm_compare_pattern(at(op->d.src), op->d.pattern,
				op->d.len, &equal, &fault);
	if (equal)
		return;
	op->status = fault.hit ? SVM_ST_PAGE_FAULT : SVM_ST_MISMATCH;
	op->fault_addr = fault.hit ? fault.addr : op->d.src + op->done;
	op->on_dst = fault.hit && fault.addr - op->d.src >= op->d.len;
}

static void
local_copy_sg(struct svm_op *op, const struct svm_seg *segs, struct svm_counters *c)
{
	struct svm_fault_info fault;
	uint32_t i;

	for (i = 0; i != op->d.len; i++) {
		const size_t done = svm_copy(at(segs[i].dst), at(segs[i].src),
				segs[i].len, &fault);

		op->done += done;
		svm_count(&c->moves, 1);
		if (done != segs[i].len) {
			op->status = SVM_ST_PAGE_FAULT;
			op->fault_addr = fault.addr;
			op->on_dst = fault.write;
			return;
		}
	}
}

void
svm_local_run(struct svm_op *op, const struct svm_seg *segs, struct svm_counters *c)
{
	struct svm_fault_info fault;

	switch (op->d.op) {
	case SVM_OP_NOP:
		return;
	case SVM_OP_COPY:
		svm_count(&c->moves, 1);
		op->done = svm_copy(at(op->d.dst), at(op->d.src), op->d.len, &fault);
		break;
	case SVM_OP_FILL:
		svm_count(&c->moves, 1);
		op->done = svm_fill(at(op->d.dst), op->d.pattern, op->d.len, &fault);
		break;
	case SVM_OP_COPY_SG:
		local_copy_sg(op, segs, c);
		return;
	default:
		local_compare(op);
		return;
	}
	if (op->done != op->d.len) {
		op->status = SVM_ST_PAGE_FAULT;
		op->fault_addr = fault.addr;
		op->on_dst = fault.write;
	}
}
