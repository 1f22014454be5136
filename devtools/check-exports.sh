#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the libraries export, against the headers that declare it. Each build runs it.
#
#   devtools/check-exports.sh svm LIBRTE_SVM PLUGIN
#   devtools/check-exports.sh worker LIBSVM_WORKER
#   devtools/check-exports.sh bus LIBRTE_BUS_VFIO_SVM
#
# A function of a public header is exported, and nothing else; librte_svm has a second node for the
# drivers of this tree. Environment: CC, the compiler.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bad=0

# declared PREFIX HEADER...: the functions that headers declare, without those they inline themselves.
declared()
{
	local prefix=$1 header text inline
	shift
	# System headers declare nothing of ours, and DPDK's need not be where they are looked for.
	text=$(for header; do sed '/^#include </d' "$top/$header"; done |
		${CC:-cc} -E -P -I "$top/lib/svm" -I "$top/kmod/uapi" - | tr '\n\t' '  ')
	inline=$(grep -oE 'static inline [^({;]*\(' <<<"$text" | grep -oE '[a-z0-9_]+ ?\($' | tr -d ' (' |
		sort -u) || true
	grep -oE "\\b${prefix}[a-z0-9_]+ ?\\(" <<<"$text" | tr -d ' (' | sort -u | comm -23 - <(printf '%s\n' "$inline")
}

# exported LIBRARY NODE: the functions and data that the library gives under a version node.
exported()
{
	nm -D --defined-only --with-symbol-versions "$1" |
		awk -v node="@@$2" '$2 != "A" && index($3, node) { sub(/@.*/, "", $3); print $3 }' | sort -u
}

# each LIST TEXT: a complaint for each name.
each()
{
	local name
	for name in $1; do
		echo "check-exports: $name $2" >&2
		bad=1
	done
}

# same_api LIBRARY NODE MAP PREFIX HEADER...: the node holds what the headers declare.
same_api()
{
	local library=$1 node=$2 map=$3 prefix=$4 header=${*:5} api given
	api=$(declared "$prefix" "${@:5}")
	given=$(exported "$library" "$node")
	[ -n "$api" ] || { echo "check-exports: no function found in $header" >&2; bad=1; }
	each "$(comm -23 <(echo "$api") <(echo "$given"))" \
		"stands in $header, but $node in $map does not export it"
	each "$(comm -13 <(echo "$api") <(echo "$given"))" \
		"is exported by $node in $map, but is not in $header"
}

# no_more LIBRARY NODE...: nothing without a node, and no other node.
no_more()
{
	local library=$1 nodes
	shift
	nodes=$(printf '@@%s$|' "$@")
	each "$(nm -D --defined-only --with-symbol-versions "$library" |
		awk -v nodes="${nodes%|}" '$2 != "A" && $3 !~ nodes { print $3 }')" \
		"is exported by $(basename "$library") outside its version map"
}

case ${1-}:$# in
svm:3)
	# shellcheck disable=SC2046 # names without a space
	same_api "$2" SVM_0 lib/svm/version.map rte_svm_ \
		$(cd "$top" && find lib/svm -name 'rte_svm*.h' ! -name rte_svm_pmd.h | sort)
	each "$(comm -13 <(declared svm_ lib/svm/rte_svm_pmd.h) <(exported "$2" SVM_INTERNAL))" \
		"is exported by SVM_INTERNAL in lib/svm/version.map, but is not in lib/svm/rte_svm_pmd.h"
	no_more "$2" SVM_0 SVM_INTERNAL
	each "$(comm -13 <(sort <(exported "$2" SVM_0) <(exported "$2" SVM_INTERNAL)) \
		<(nm -D --undefined-only "$3" | awk '{ sub(/@.*/, "", $2); print $2 }' |
			grep -E '^(rte_)?svm_' | sort -u))" \
		"is called by $(basename "$3"), but lib/svm/version.map does not export it"
	;;
bus:2)
	same_api "$2" VFIO_SVM_0 drivers/bus/vfio_svm/version.map rte_vfio_svm_ \
		drivers/bus/vfio_svm/bus_vfio_svm_driver.h
	no_more "$2" VFIO_SVM_0
	;;
worker:2)
	same_api "$2" SVM_WORKER_0 lib/svm_worker/version.map svm_worker_ lib/svm_worker/svm_worker.h
	no_more "$2" SVM_WORKER_0
	;;
*)
	sed -n '3,10s/^# \?//p' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
exit "$bad"
