// SPDX-License-Identifier: GPL-2.0-only
/*
 * The closure of module names over depmod's indexes, by libkmod. A module comes after what it needs and
 * its soft "pre" dependencies, and before its soft "post" ones. libkmod's own list for modprobe
 * is not reachable through its API, and would ask the running kernel what is loaded.
 */
#include "modules.h"

#include <errno.h>
#include <libkmod.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/log.h"
#include "base/scoped.h"
#include "kmod_index.h"

#define MODULE_MAX_BYTES (128u << 20)

struct walk {
	struct kmod_ctx *kmod;
	struct hs_module_files *files;
	char **seen; /* also what is being visited: soft dependencies may form circles */
	size_t seen_nr;
	char kmod_said[256]; /* libkmod's first error message since this was emptied */
	char *why; /* HS_MODULES_WHY_BYTES: the reason of a failure, without "hsbpf:" */
};

static inline void kmod_free(struct kmod_ctx *kmod)
{
	if (kmod)
		kmod_unref(kmod);
}

static inline void kmod_list_free(struct kmod_list *list)
{
	if (list)
		kmod_module_unref_list(list);
}

static void walk_release(struct walk walk)
{
	for (size_t i = 0; i < walk.seen_nr; i++)
		free(walk.seen[i]);
	free(walk.seen);
	hs_module_files_free(walk.files);
	kmod_free(walk.kmod);
}

HS_SCOPED(kmod_entries, struct kmod_list *, kmod_list_free)
HS_SCOPED(module, struct kmod_module *, kmod_module_unref)
HS_SCOPED(walk, struct walk, walk_release)

/* libkmod has no error for dependencies whose files are gone: it logs one and says that there are none. */
static void log_keep(void *data, int priority, const char *file, int line, const char *fn, const char *format,
		     va_list args)
{
	struct walk *walk = data;
	size_t len;

	(void)file, (void)line, (void)fn;
	if (priority > LOG_ERR || walk->kmod_said[0])
		return;
	vsnprintf(walk->kmod_said, sizeof(walk->kmod_said), format, args);
	len = strlen(walk->kmod_said);
	if (len > 0 && walk->kmod_said[len - 1] == '\n')
		walk->kmod_said[len - 1] = 0;
}

/* Keeps the reason for the caller, who may have another kernel to try. Returns err. */
static int __attribute__((format(printf, 3, 4))) complain(struct walk *walk, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(walk->why, HS_MODULES_WHY_BYTES, format, args);
	va_end(args);
	return err;
}

/* 1: new and remembered, 0: seen before, or -ENOMEM. */
static int name_remember(struct walk *walk, const char *name)
{
	char **seen;

	for (size_t i = 0; i < walk->seen_nr; i++)
		if (strcmp(walk->seen[i], name) == 0)
			return 0;
	seen = reallocarray(walk->seen, walk->seen_nr + 1, sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	walk->seen = seen;
	seen[walk->seen_nr] = strdup(name);
	if (!seen[walk->seen_nr])
		return -ENOMEM;
	walk->seen_nr++;
	return 1;
}

static int file_append(struct hs_module_files *files, const char *name, const char *path)
{
	struct hs_module_file *grown = reallocarray(files->file, files->nr + 1, sizeof(*grown));
	struct hs_module_file file;

	if (!grown)
		return -ENOMEM;
	files->file = grown;
	file = (struct hs_module_file){ strdup(name), strdup(path) };
	if (!file.name || !file.path) {
		free(file.name);
		free(file.path);
		return -ENOMEM;
	}
	files->file[files->nr++] = file;
	return 0;
}

static int module_visit(struct walk *walk, struct kmod_module *module);

static int modules_visit(struct walk *walk, struct kmod_list *list)
{
	struct kmod_list *entry;
	int err = 0;

	kmod_list_foreach(entry, list) {
		scoped(module) struct kmod_module *module = kmod_module_get_module(entry);

		err = module_visit(walk, module);
		if (err)
			break;
	}
	return err;
}

/* Without a path it is built in, or a soft dependency that this kernel does not have. */
static int module_visit(struct walk *walk, struct kmod_module *module)
{
	scoped(kmod_entries) struct kmod_list *needed = NULL;
	scoped(kmod_entries) struct kmod_list *pre = NULL;
	scoped(kmod_entries) struct kmod_list *post = NULL;
	const char *name = kmod_module_get_name(module);
	const char *path = kmod_module_get_path(module);
	int err = path ? name_remember(walk, name) : 0;

	if (err <= 0)
		return err;
	if (access(path, R_OK) < 0)
		return complain(walk, -EBADMSG, "cannot read module %s at %s, which modules.dep lists: %s",
				name, path, strerror(errno));
	walk->kmod_said[0] = 0;
	needed = kmod_module_get_dependencies(module);
	if (!needed && walk->kmod_said[0])
		return complain(walk, -EBADMSG, "cannot find what module %s needs: %s", name,
				walk->kmod_said);
	err = modules_visit(walk, needed);
	if (!err)
		err = kmod_module_get_softdeps(module, &pre, &post);
	if (!err)
		err = modules_visit(walk, pre);
	if (!err)
		err = file_append(walk->files, name, path);
	if (!err)
		err = modules_visit(walk, post);
	return err;
}

/* The indexes that lookups read. Of these, modules.dep.bin cannot be missing. */
static int indexes_check(struct walk *walk, const char *folder)
{
	static const char *const indexes[] = { "modules.dep.bin", "modules.alias.bin", "modules.symbols.bin",
					       "modules.builtin.bin", "modules.builtin.alias.bin" };

	for (size_t i = 0; i < HS_ARRAY_SIZE(indexes); i++) {
		scoped(mem) char *path = NULL;
		struct stat st;

		if (asprintf(&path, "%s/%s", folder, indexes[i]) < 0)
			return -ENOMEM;
		/* depmod leaves an empty file where it has nothing to say, which libkmod bears. */
		if (i > 0 && (stat(path, &st) < 0 || st.st_size == 0))
			continue;
		if (access(path, F_OK) < 0)
			return complain(
				walk, -EBADMSG,
				"cannot find %s: run depmod for this kernel, or give another one with "
				"--kernel",
				path);
		if (hs_kmod_index_check(path))
			return complain(walk, -EBADMSG,
					"%s is damaged: run depmod for this kernel, or give another "
					"one with --kernel",
					path);
	}
	return 0;
}

static int kmod_open(struct walk *walk, const char *folder)
{
	/* The kernel's own soft dependencies, and nobody's modprobe.d. */
	scoped(mem) char *softdep = NULL;
	const char *config[2] = { NULL };

	if (asprintf(&softdep, "%s/modules.softdep", folder) < 0)
		return -ENOMEM;
	config[0] = softdep;
	walk->kmod = kmod_new(folder, config);
	if (!walk->kmod)
		return complain(walk, -EIO, "cannot read the modules in %s: libkmod refused them", folder);
	kmod_set_log_fn(walk->kmod, log_keep, walk);
	kmod_set_log_priority(walk->kmod, LOG_ERR);
	kmod_load_resources(walk->kmod);
	return 0;
}

static int name_visit(struct walk *walk, const char *name, const char *folder, const char *release)
{
	scoped(kmod_entries) struct kmod_list *found = NULL;
	int err = kmod_module_new_from_lookup(walk->kmod, name, &found);

	if (err < 0 || !found)
		return complain(walk, -ENOENT,
				"kernel %s has no module %s (looked in %s): give another kernel with "
				"--kernel",
				release, name, folder);
	return modules_visit(walk, found);
}

static int closure_find(const char *modules_dir, const char *release, const char *const *names, char *why,
			struct hs_module_files **out)
{
	scoped(walk) struct walk walk = { .why = why };
	scoped(mem) char *folder = NULL;
	int err;

	snprintf(why, HS_MODULES_WHY_BYTES, "cannot list the modules of kernel %s: out of memory", release);
	walk.files = calloc(1, sizeof(*walk.files));
	if (!walk.files || asprintf(&folder, "%s/lib/modules/%s", modules_dir, release) < 0)
		return -ENOMEM;
	err = indexes_check(&walk, folder);
	if (!err)
		err = kmod_open(&walk, folder);
	for (; !err && *names; names++)
		err = name_visit(&walk, *names, folder, release);
	if (!err)
		*out = take(walk.files);
	return err;
}

int hs_modules_closure(const char *modules_dir, const char *release, const char *const *names,
		       struct hs_module_files **out)
{
	char why[HS_MODULES_WHY_BYTES];
	int err = closure_find(modules_dir, release, names, why, out);

	return err ? hs_fail(err, "%s", why) : 0;
}

int hs_modules_check(const char *modules_dir, const char *release, const char *const *names,
		     char why[HS_MODULES_WHY_BYTES])
{
	struct hs_module_files *files = NULL;
	int err = closure_find(modules_dir, release, names, why, &files);

	hs_module_files_free(files);
	return err;
}

void hs_module_files_free(struct hs_module_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < files->nr; i++) {
		free(files->file[i].name);
		free(files->file[i].path);
	}
	free(files->file);
	free(files);
}

static bool is_elf(const struct hs_bytes *bytes)
{
	return bytes->len > 4 && memcmp(bytes->data, "\177ELF", 4) == 0;
}

int hs_module_read(const char *path, struct hs_bytes *out)
{
	scoped(bytes) struct hs_bytes file = { 0 };
	scoped(bytes) struct hs_bytes module = { 0 };
	int err = hs_bytes_read(path, MODULE_MAX_BYTES, &file);

	if (err)
		return err;
	if (!is_elf(&file)) {
		err = hs_bytes_unpack(path, file.data, file.len, MODULE_MAX_BYTES, &module);
		if (err && err != -ENOTSUP)
			return err;
		if (err || !is_elf(&module))
			return hs_fail(-EBADMSG, "%s is no kernel module: neither ELF nor a packed ELF",
				       path);
		free(file.data);
		file = module;
		module = (struct hs_bytes){ 0 };
	}
	out->len = file.len;
	out->data = take(file.data);
	return 0;
}
