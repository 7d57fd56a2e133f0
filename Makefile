# SPDX-License-Identifier: GPL-2.0-only
# One graph, no recursion: everything that is made lies under build/. `make help` lists the targets.
CC        ?= gcc
CLANG     ?= clang
BPFTOOL   ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
PREFIX    ?= /usr/local
B         := build

VERSION   := 0.1.0
PKGS      := libbpf libelf zlib libtraceevent json-c libnl-3.0 libnl-route-3.0 libkmod libarchive liblzma ncursesw nettle
WARN      := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wno-missing-field-initializers
CPPFLAGS  += -D_GNU_SOURCE -DHS_VERSION='"$(VERSION)"' -I. -Iuser -I$(B)
CFLAGS    ?= -O2 -g
override CFLAGS += -std=gnu11 $(WARN)
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
LDLIBS     = $(shell pkg-config --libs $(PKGS)) -lpthread -lm

ifneq ($(V),1)
Q   := @
msg  = @printf '  %-8s %s\n' '$(1)' '$(2)'
endif

BASE_SRC  := $(wildcard user/base/*.c)
MIG_SRC   := $(filter-out migtools/main.c,$(wildcard migtools/*.c))
HOST_SRC  := $(filter-out $(BASE_SRC) user/main.c,$(wildcard user/*/*.c) $(wildcard orchestrate/*.c) $(wildcard trace_events/*.c)) $(MIG_SRC)
BPF_SRC   := $(wildcard bpf/*.bpf.c)
STAT_SRC  := $(wildcard bpf/stat/*.bpf.c)
GUEST_SRC := $(wildcard orchestrate/guest/*.c)

obj = $(patsubst %.c,$(B)/%.o,$(1))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(B)/hsbpf $(B)/hsbpf-init $(B)/hsbpf-migtools $(B)/hsbpf-agent ## build hsbpf and its guests' programs (the default)

# ---- the program -------------------------------------------------------------------------------
$(B)/libbase.a: $(call obj,$(BASE_SRC))
$(B)/libhsbpf.a: $(call obj,$(HOST_SRC))
%.a:
	$(call msg,AR,$@)
	$(Q)rm -f $@ && ar crs $@ $^

$(B)/hsbpf: $(B)/user/main.o $(B)/libhsbpf.a $(B)/libbase.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# PID 1 of the guests: static, no library beyond libc and user/base.
$(B)/hsbpf-init: $(call obj,$(GUEST_SRC)) $(B)/orchestrate/frame.o $(B)/orchestrate/agent.o $(B)/libbase.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -static -o $@ $^

# The agent alone, static for guests: the archives give what it needs and no more.
$(B)/hsbpf-agent: $(B)/user/agent_main.o $(B)/libhsbpf.a $(B)/libbase.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -static -o $@ $^ $$(pkg-config --static --libs libbpf libelf zlib json-c) -lpthread

# The tools for migrations alone, static for guests. The linker's warnings are off for getaddrinfo's: this C library has
# /etc/hosts and DNS built in, and services of nsswitch.conf that need a file at run time are done without.
$(B)/hsbpf-migtools: $(B)/migtools/main.o $(call obj,$(MIG_SRC)) $(B)/libbase.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -static -Wl,--no-warnings -o $@ $^ $$(pkg-config --static --libs json-c) -lm

$(B)/%.o: %.c | $(B)/bpf/hsbpf.skel.h $(B)/bpf/stat.skel.h
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/user/base/page.o: user/base/page.css user/base/page.js
$(B)/user/migrate/page.o: user/migrate/page.html
$(B)/user/hyper/sim_config.o: $(wildcard data/iommu/*.conf)
$(B)/user/explore/page.o: user/explore/page.html

# ---- BPF ---------------------------------------------------------------------------------------
$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -I. -Ivmlinux -Wall -Wextra -Werror \
		-Wno-unused-parameter -Wno-missing-declarations -MMD -MP -c -o $@ $<

$(B)/bpf/hsbpf.bpf.o: $(patsubst bpf/%.bpf.c,$(B)/bpf/%.bpf.o,$(BPF_SRC))
	$(call msg,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(B)/bpf/hsbpf.skel.h: $(B)/bpf/hsbpf.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name hsbpf_bpf > $@

# The programs that count instead of recording: an object of their own.
$(B)/bpf/stat.bpf.o: $(patsubst bpf/%.bpf.c,$(B)/bpf/%.bpf.o,$(STAT_SRC))
	$(call msg,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(B)/bpf/stat.skel.h: $(B)/bpf/stat.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name hsbpf_stat > $@

# ---- tests -------------------------------------------------------------------------------------
# A tier is a list of programs that speak TAP; tests/run adds them up.
UNIT     := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
LAB      := $(patsubst %.c,$(B)/%,$(wildcard tests/lab/test_*.c)) $(wildcard tests/lab/*.sh)
E2E      := $(wildcard tests/e2e/*.sh)
VM       := tests/vm/debian.sh
LINT     := $(wildcard tests/lint/*.sh)
FUZZ     := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH    := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/*.c))
FUZZ_SECONDS ?= 10

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(B)/libhsbpf.a $(B)/libbase.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

$(B)/tests/lab/test_%: $(B)/tests/lab/test_%.o $(B)/tests/lab/lab.o $(B)/libhsbpf.a $(B)/libbase.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/tests/bench/bench_%: $(B)/tests/bench/bench_%.o $(B)/libhsbpf.a $(B)/libbase.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/tests/bench/kvmgen $(B)/tests/lab/kvmguest: $(B)/tests/%: $(B)/tests/%.o
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

# Everything compiled again for the fuzzers, with the sanitizers that stop at the first fault.
FUZZ_FLAGS := -O1 -g -std=gnu11 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
FUZZ_OBJ   := $(patsubst %.c,$(B)/fuzz/%.o,$(wildcard user/qemulog/*.c user/trace/*.c user/print/*.c user/timeline/*.c user/analysis/*.c user/correlate/*.c user/agent/wire.c user/ftrace/*.c user/guest/*.c user/journal/*.c user/hyper/dmatrace.c user/hyper/sim*.c user/hyper/ingest*.c user/hyper/gen_spool.c user/hyper/gen_watch.c user/capture/vm.c user/capture/tracefs.c trace_events/*.c user/base/*.c) $(MIG_SRC))
$(B)/fuzz/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) $(PKG_CFLAGS) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/fuzz/fuzz_%: $(B)/fuzz/tests/fuzz/fuzz_%.o $(FUZZ_OBJ)
	$(call msg,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

# The other compiler and the sanitizers at once: everything is built again, the unit tests run again.
SAN_B     := $(B)/san
SAN_UNIT  := $(patsubst $(B)/%,$(SAN_B)/%,$(UNIT))
SAN_FLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined
.PHONY: san-build
san-build:
	$(Q)$(MAKE) --no-print-directory B=$(SAN_B) CC=$(CLANG) CFLAGS='$(SAN_FLAGS)' $(SAN_B)/hsbpf $(SAN_UNIT)

.PHONY: deps unit lab e2e lint fuzz check check-vm bench demo
deps: ## install the Debian packages that are missing (packages.txt)
	$(Q)tests/lib/deps.sh

lint: ## the rules of the house
	$(Q)tests/run $(LINT)

unit: $(UNIT) ## unit tests: no root, seconds
	$(Q)tests/run $(UNIT)

lab: all $(LAB) $(B)/tests/bench/kvmgen $(B)/tests/lab/kvmguest ## tests on this kernel: namespaces, taps, BPF (root)
	$(Q)tests/run $(LAB)

e2e: all ## whole labs (root)
	$(Q)tests/run $(E2E)

check-vm: all $(LAB) $(B)/tests/bench/kvmgen ## the same binaries in a Debian guest with nested KVM and vhost-net (root)
	$(Q)tests/run $(VM)

fuzz: $(FUZZ) ## each fuzzer for FUZZ_SECONDS
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run tests/fuzz/run.sh

bench: deps ## figures beside their peers, in one run (root)
	$(Q)$(MAKE) --no-print-directory bench-run
.PHONY: bench-run
bench-run: all $(BENCH)
	$(Q)tests/bench/run.sh

# In two steps: what is built is known only when the packages are there.
check: deps ## everything that can be tested here (root); the last line counts
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) check-build
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=1 tests/run $(LINT) $(UNIT) $(SAN_UNIT) tests/fuzz/run.sh $(LAB) $(VM) $(E2E)
.PHONY: check-build
check-build: all $(UNIT) $(FUZZ) $(LAB) $(B)/tests/lab/kvmguest $(BENCH) san-build

demo: deps ## the main job with one pair, and where to look at the result (root)
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) all
	$(Q)rm -rf $(B)/demo
	$(Q)$(B)/hsbpf collect --l2vm 1 --iperf3time 5 --out $(B)/demo
	@echo "look at it:"
	@echo "  less $(B)/demo/hsbpf_iperf3_vm_1_log_0.txt                      QEMU's IOMMU log of L1"
	@echo "  babeltrace2 $(B)/demo/hsbpf_iperf3_vm_1_log_0/trace/host | less  each packet on the taps"
	@echo "  $(B)/hsbpf show $(B)/demo/hsbpf_iperf3_vm_1_log_0                this table again"

# ---- install -----------------------------------------------------------------------------------
LIBEXEC := $(PREFIX)/libexec/hsbpf
DATA    := $(PREFIX)/share/hsbpf
MAN     := $(PREFIX)/share/man/man1
UNITS   := $(PREFIX)/lib/systemd/system
# What has an installed path compiled in is made again when PREFIX changes.
$(B)/prefix: FORCE
	$(Q)mkdir -p $(B)
	$(Q)echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' > $@
.PHONY: FORCE
$(B)/orchestrate/images.o $(B)/user/base/datadir.o: CPPFLAGS += -DHS_LIBEXECDIR='"$(LIBEXEC)"' -DHS_DATADIR='"$(DATA)"'
$(B)/orchestrate/images.o $(B)/user/base/datadir.o: $(B)/prefix

.PHONY: install uninstall
install: all ## install below PREFIX (/usr/local), staged in DESTDIR
	install -D -m 755 $(B)/hsbpf $(DESTDIR)$(PREFIX)/bin/hsbpf
	install -D -m 755 $(B)/hsbpf-init $(DESTDIR)$(LIBEXEC)/hsbpf-init
	install -D -m 755 $(B)/hsbpf-agent $(DESTDIR)$(PREFIX)/bin/hsbpf-agent
	install -d $(DESTDIR)$(UNITS)
	sed 's|@BINDIR@|$(PREFIX)/bin|' data/hsbpf-agent.service > $(DESTDIR)$(UNITS)/hsbpf-agent.service
	sed 's|@BINDIR@|$(PREFIX)/bin|' data/hsbpf-log.service > $(DESTDIR)$(UNITS)/hsbpf-log.service
	install -D -m 755 $(B)/hsbpf-migtools $(DESTDIR)$(LIBEXEC)/hsbpf-migtools
	install -d $(DESTDIR)$(DATA) $(DESTDIR)$(MAN) $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 644 trace_events/*.events user/schema/*.json data/plans/*.plan data/iommu/*.conf $(DESTDIR)$(DATA)
	$(Q)$(B)/hsbpf gen man > $(DESTDIR)$(MAN)/hsbpf.1
	$(Q)$(B)/hsbpf gen verbs | while read -r verb; do \
		$(B)/hsbpf gen man "$$verb" > "$(DESTDIR)$(MAN)/hsbpf-$$(echo "$$verb" | tr ' ' -).1"; done
	$(Q)$(B)/hsbpf gen completion > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/hsbpf

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/hsbpf $(DESTDIR)$(PREFIX)/bin/hsbpf-agent $(DESTDIR)$(UNITS)/hsbpf-agent.service
	rm -f $(DESTDIR)$(UNITS)/hsbpf-log.service
	rm -f $(DESTDIR)$(MAN)/hsbpf.1 $(DESTDIR)$(MAN)/hsbpf-*.1
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/hsbpf
	rm -rf $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(DATA)

# ---- house keeping -----------------------------------------------------------------------------
.PHONY: clean help
clean: ## remove build/
	rm -rf $(B)

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

-include $(shell find $(B) -name '*.d' 2>/dev/null)
