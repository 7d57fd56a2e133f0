// SPDX-License-Identifier: GPL-2.0-only
/*
 * The floor of every recorder in BPF: programs that do nothing on the given tracepoints, until stdin ends. What is left
 * is the tracepoint, the dispatch and the processor's mitigations. Usage: bench_empty EVENT... One thread.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int prog = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "empty", "GPL", nothing,
				 sizeof(nothing) / sizeof(nothing[0]), NULL);

	for (int i = 1; i < argc && prog >= 0; i++) {
		if (bpf_raw_tracepoint_open(argv[i], prog) < 0) {
			fprintf(stderr, "bench_empty: %s: %s\n", argv[i], strerror(errno));
			return 1;
		}
	}
	if (argc < 2 || prog < 0) {
		fprintf(stderr, argc < 2 ? "usage: bench_empty EVENT...\n" : "bench_empty: BPF is refused\n");
		return 2;
	}
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	return 0;
}
