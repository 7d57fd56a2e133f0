// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the few elements that matter out of `virsh dumpxml`, whose shape is always the same; no general XML.
 * Called by `hsbpf guest`, in one thread.
 */
#include "libvirt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/wire.h"
#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"

#define OUTPUT_MAX (4u << 20)
#define VCPUS_MAX HS_GUEST_CPUS_MAX

bool hs_libvirt_is_here(void)
{
	return hs_proc_finds("virsh");
}

static int read_all(int fd, char **text)
{
	scoped(mem) char *all = malloc(OUTPUT_MAX + 1);
	size_t len = 0;
	ssize_t got;

	if (!all)
		return -ENOMEM;
	while ((got = read(fd, all + len, OUTPUT_MAX - len)) != 0) {
		if (got < 0 && errno != EINTR)
			return -errno;
		len += got > 0 ? (size_t)got : 0;
	}
	all[len] = '\0';
	*text = take(all);
	return 0;
}

/* Its standard output; -ENOENT when it failed: the domain is not there, or no libvirt is. */
static int run_virsh(char *const *argv, char **text)
{
	struct hs_spawn spawn = { .argv = argv, .stdin_fd = -1, .stderr_fd = -1, .netns_fd = -1 };
	scoped(mem) char *output = NULL;
	int fds[2], err, status = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	spawn.stdout_fd = fds[1];
	err = hs_proc_spawn(&spawn, &pid);
	close(fds[1]);
	if (!err) {
		err = read_all(fds[0], &output);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	close(fds[0]);
	if (err || status)
		return err ? err : -ENOENT;
	*text = take(output);
	return 0;
}

int hs_libvirt_read_domain(const char *domain, char **xml)
{
	char *const argv[] = { "virsh", "--readonly", "dumpxml", "--", (char *)domain, NULL };

	return run_virsh(argv, xml);
}

int hs_libvirt_read_names(char **names)
{
	char *const argv[] = { "virsh", "--readonly", "list", "--name", NULL };
	int err = run_virsh(argv, names);

	if (err != -ENOENT)
		return err;
	*names = strdup("");
	return *names ? 0 : -ENOMEM;
}

/* &amp; and its four companions, in place. */
static void unescape(char *text)
{
	static const char *const names[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&apos;" };
	static const char chars[] = "&<>\"'";

	for (char *at = text; (at = strchr(at, '&')); at++)
		for (size_t i = 0; i < HS_ARRAY_SIZE(names); i++) {
			size_t len = strlen(names[i]);

			if (strncmp(at, names[i], len) != 0)
				continue;
			*at = chars[i];
			memmove(at + 1, at + len, strlen(at + len) + 1);
			break;
		}
}

/* The value of an attribute of the first such element in [begin, end); malloc'd, NULL if it is not there. */
static char *attribute(const char *begin, const char *end, const char *element, const char *name)
{
	scoped(mem) char *text = strndup(begin, (size_t)(end - begin));
	scoped(mem) char *open = hs_format("<%s ", element);
	scoped(mem) char *key = hs_format(" %s=", name);
	char *at = text && open ? strstr(text, open) : NULL, *stop = at ? strchr(at, '>') : NULL, *value, quote;

	if (!stop || !key)
		return NULL;
	*stop = '\0';
	at = strstr(at, key);
	quote = at ? at[strlen(key)] : '\0';
	if (quote != '\'' && quote != '"')
		return NULL;
	at += strlen(key) + 1;
	value = strndup(at, strcspn(at, quote == '"' ? "\"" : "'"));
	if (value)
		unescape(value);
	return value;
}

static int add_channel(struct hs_guest_place *place, const char *begin, const char *end)
{
	scoped(mem) char *name = attribute(begin, end, "target", "name");
	scoped(mem) char *path = attribute(begin, end, "source", "path");

	return name && path ? hs_guest_place_add(place, name, path) : 0;
}

static unsigned read_vcpus(const char *xml)
{
	const char *at = strstr(xml, "<vcpu");
	unsigned vcpus = 0;

	at = at ? strchr(at, '>') : NULL;
	if (at && sscanf(at + 1, " %u", &vcpus) == 1 && vcpus)
		return vcpus < VCPUS_MAX ? vcpus : VCPUS_MAX;
	return 1;
}

int hs_libvirt_parse(const char *xml, struct hs_guest_place **out, unsigned *vcpus)
{
	scoped(hs_guest_place) struct hs_guest_place *place = hs_guest_place_new();
	const char *end;

	if (!place)
		return -ENOMEM;
	if (!strstr(xml, "<domain"))
		return hs_fail(-EBADMSG, "virsh printed something that is no domain");
	for (const char *at = xml; (at = strstr(at, "<channel type='unix'")) && (end = strstr(at, "</channel>"));
	     at = end) {
		int err = add_channel(place, at, end);

		if (err)
			return err;
	}
	*vcpus = read_vcpus(xml);
	*out = take(place);
	return 0;
}

static void print_channel(FILE *out, const char *name)
{
	fprintf(out, "    <channel type='unix'>\n      <target type='virtio' name='%s'/>\n    </channel>\n", name);
}

unsigned hs_libvirt_print_missing(FILE *out, const struct hs_guest_place *place, unsigned vcpus)
{
	unsigned missing = 0;
	char name[64];

	if (!place->orders) {
		print_channel(out, HS_WIRE_CONTROL_PORT);
		missing++;
	}
	for (unsigned cpu = 0; cpu < vcpus && cpu < HS_GUEST_CPUS_MAX; cpu++) {
		if (place->data[cpu])
			continue;
		snprintf(name, sizeof(name), HS_WIRE_DATA_PORT, cpu);
		print_channel(out, name);
		missing++;
	}
	if (!place->log) {
		print_channel(out, HS_WIRE_LOG_PORT);
		missing++;
	}
	return missing;
}
