/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_trace_point_register.h>

#include "svm_trace.h"

RTE_TRACE_POINT_REGISTER(svm_trace_bind, lib.svm.bind)
RTE_TRACE_POINT_REGISTER(svm_trace_unbind, lib.svm.unbind)
RTE_TRACE_POINT_REGISTER(svm_trace_fault, lib.svm.fault)
RTE_TRACE_POINT_REGISTER(svm_trace_submit, lib.svm.submit)
RTE_TRACE_POINT_REGISTER(svm_trace_complete, lib.svm.complete)
