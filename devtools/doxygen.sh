#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# devtools/doxygen.sh DOXYGEN CONFIG OUTPUT FILE...: make one form of the reference. The build calls it.
set -euo pipefail
doxygen=$1 config=$2 output=$3
shift 3
rm -rf "$output"
mkdir -p "$output"
if ! { cat "$config"; echo "OUTPUT_DIRECTORY = \"$output\""; printf 'INPUT += "%s"\n' "$@"; } |
		"$doxygen" -; then
	echo "doxygen: a warning above is an error: each public function, struct, field and constant has a" \
		"comment, @param names a parameter that exists, and what starts with # or ends with () exists" >&2
	rm -rf "$output"
	exit 1
fi
# A page for each thing of ours; doxygen makes one for each field as well, and `man write` is not ours.
if [ -d "$output/man3" ]; then
	find "$output/man3" -type f ! -iname 'rte_svm*' ! -iname 'svm_worker*' -delete
fi
