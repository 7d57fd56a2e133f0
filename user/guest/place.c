// SPDX-License-Identifier: GPL-2.0-only
/* Looks for ports by their names and opens them. */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "agent/wire.h"
#include "base/io.h"
#include "base/log.h"

struct hs_guest_place *hs_guest_place_new(void)
{
	return calloc(1, sizeof(struct hs_guest_place));
}

void hs_guest_place_free(struct hs_guest_place *place)
{
	if (!place)
		return;
	free(place->orders);
	free(place->log);
	for (unsigned cpu = 0; cpu < HS_GUEST_CPUS_MAX; cpu++)
		free(place->data[cpu]);
	free(place);
}

int hs_guest_place_add(struct hs_guest_place *place, const char *name, const char *path)
{
	char **where = NULL;
	unsigned cpu;
	int end = 0;

	if (!strcmp(name, HS_WIRE_CONTROL_PORT))
		where = &place->orders;
	else if (!strcmp(name, HS_WIRE_LOG_PORT))
		where = &place->log;
	else if (sscanf(name, HS_WIRE_DATA_PORT "%n", &cpu, &end) == 1 && !name[end] && cpu < HS_GUEST_CPUS_MAX)
		where = &place->data[cpu];
	if (!where)
		return 0;
	free(*where);
	*where = strdup(path);
	while (place->cpus < HS_GUEST_CPUS_MAX && place->data[place->cpus])
		place->cpus++;
	return *where ? 0 : -ENOMEM;
}

/* Whether the port is there; then also as what. */
static bool exists(const char *path, bool *is_fifo)
{
	scoped(mem) char *fifo = hs_format("%s.out", path);
	struct stat st;

	if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		*is_fifo = false;
		return true;
	}
	if (!fifo || stat(fifo, &st) < 0 || !S_ISFIFO(st.st_mode))
		return false;
	*is_fifo = true;
	return true;
}

static int add_if_there(struct hs_guest_place *place, const char *prefix, const char *name, bool *found)
{
	scoped(mem) char *path = hs_format("%s%s", prefix, name);

	if (!path)
		return -ENOMEM;
	*found = exists(path, &place->is_fifo);
	return *found ? hs_guest_place_add(place, name, path) : 0;
}

int hs_guest_place_find(const char *path, struct hs_guest_place **out)
{
	scoped(hs_guest_place) struct hs_guest_place *place = hs_guest_place_new();
	scoped(mem) char *prefix = NULL;
	bool found, has_orders = false;
	struct stat st;
	int err = 0;

	prefix = hs_format("%s%s", path, stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? "/" : "");
	if (!place || !prefix)
		return -ENOMEM;
	err = add_if_there(place, prefix, HS_WIRE_CONTROL_PORT, &has_orders);
	found = has_orders;
	for (unsigned cpu = 0; !err && found && cpu < HS_GUEST_CPUS_MAX; cpu++) {
		char name[64];

		snprintf(name, sizeof(name), HS_WIRE_DATA_PORT, cpu);
		err = add_if_there(place, prefix, name, &found);
	}
	if (err)
		return err;
	if (!has_orders || !place->cpus)
		return hs_fail(
			-ENOENT,
			"there is no guest at %s: neither a socket %s%s nor FIFOs of that name with .in and .out", path,
			prefix, has_orders ? "trace-path-cpu0" : HS_WIRE_CONTROL_PORT);
	*out = take(place);
	return 0;
}

static int open_socket(const char *path, int fds[2])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >= (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	fds[0] = fds[1] = take_fd(&fd);
	return 0;
}

/* Both for reading and writing: so they open without a partner, and its end is not ours. */
static int open_fifos(const char *path, int fds[2])
{
	scoped(mem) char *in = hs_format("%s.in", path), *out = hs_format("%s.out", path);
	scoped(fd) int from = out ? open(out, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
	scoped(fd) int to = in ? open(in, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;

	if (from < 0 || to < 0)
		return -errno;
	fds[0] = take_fd(&from);
	fds[1] = take_fd(&to);
	return 0;
}

int hs_guest_port_open(const char *path, bool is_fifo, int fds[2])
{
	return is_fifo ? open_fifos(path, fds) : open_socket(path, fds);
}
