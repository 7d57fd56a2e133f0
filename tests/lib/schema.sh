#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Checks JSON documents against the schema that they name. Usage: schema.sh FILE...; a collect document's runs are
# checked one by one. Exit status 1 and the reason when one does not fit.
set -u
dir=$(dirname "$0")/../../user/schema
status=0
for document in "$@"; do
	schema=$(jq -er .schema "$document") || { echo "$document names no schema"; status=1; continue; }
	file=$dir/${schema/\//-}.json
	[ -f "$file" ] || { echo "$document: there is no schema $schema"; status=1; continue; }
	/usr/bin/python3 -W ignore -m jsonschema -i "$document" "$file" || status=1
	[ "$schema" = hsbpf.collect/1 ] || continue
	work=$(mktemp -d)
	for run in $(jq -r '.runs | keys[]' "$document"); do
		jq ".runs[$run]" "$document" >"$work/run-$run.json"
	done
	"$0" "$work"/run-*.json || status=1
	rm -rf "$work"
done
exit "$status"
