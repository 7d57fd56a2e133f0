# SPDX-License-Identifier: GPL-2.0-only
# One graph, no recursion: everything that is made lies under build/. `make help` lists the targets.
CC        ?= gcc
CLANG     ?= clang
BPFTOOL   ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
PREFIX    ?= /usr/local
B         := build

VERSION   := 0.1.0
PKGS      := libbpf libelf zlib json-c libnl-3.0 libnl-route-3.0 libkmod libarchive liblzma
WARN      := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wno-missing-field-initializers
CPPFLAGS  += -D_GNU_SOURCE -DHS_VERSION='"$(VERSION)"' -I. -Iuser -I$(B)
CFLAGS    ?= -O2 -g
CFLAGS    += -std=gnu11 $(WARN)
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
LDLIBS     = $(shell pkg-config --libs $(PKGS)) -lpthread

ifneq ($(V),1)
Q   := @
msg  = @printf '  %-8s %s\n' '$(1)' '$(2)'
endif

BASE_SRC  := $(wildcard user/base/*.c)
HOST_SRC  := $(filter-out $(BASE_SRC) user/main.c,$(wildcard user/*/*.c) $(wildcard orchestrate/*.c) $(wildcard trace_events/*.c) $(wildcard migtools/*.c))
BPF_SRC   := $(wildcard bpf/*.bpf.c)
GUEST_SRC := $(wildcard orchestrate/guest/*.c)

obj = $(patsubst %.c,$(B)/%.o,$(1))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(B)/hsbpf $(B)/hsbpf-init ## build hsbpf and its guests' init (the default)

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

$(B)/%.o: %.c | $(B)/bpf/hsbpf.skel.h
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

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

# ---- tests -------------------------------------------------------------------------------------
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(B)/%)

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(B)/libhsbpf.a $(B)/libbase.a
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

.PHONY: unit
unit: $(UNIT_BIN) ## build and run the unit tests
	$(Q)tests/run unit

# ---- house keeping -----------------------------------------------------------------------------
.PHONY: clean help
clean: ## remove build/
	rm -rf $(B)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

-include $(shell find $(B) -name '*.d' 2>/dev/null)
