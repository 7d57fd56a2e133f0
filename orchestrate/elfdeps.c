// SPDX-License-Identifier: GPL-2.0-only
/*
 * The closure of an ELF program over DT_NEEDED, with ld.so's rules of search (ld.so(8); glibc,
 * elf/dl-load.c). Objects are kept in the order in which ld.so would load them; an object remembers who
 * asked for it first, because DT_RPATH is inherited along that chain. Files are not trusted: every offset
 * goes through libelf's checks or is compared with the size of the string table.
 */
#include "elfdeps.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/scoped.h"

#define CONF_DEPTH_MAX 8
#define OBJECTS_MAX 4096
#define NO_LOADER ((size_t)-1)

static const char ld_so_conf[] = "/etc/ld.so.conf";
static const char *const default_dirs[] = {
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib", "/lib64", "/usr/lib64",
};

struct strings {
	char **item;
	size_t nr;
};

struct object {
	char *guest_path;
	char *source_path;
	char *wanted; /* the name in DT_NEEDED that brought it; NULL for the program */
	char *soname;
	char *interp;
	char *rpath;
	char *runpath;
	struct strings needed;
	int class;
	int machine;
	size_t loader; /* index of the object that asked first */
};

struct closure {
	struct object *object;
	size_t nr;
	struct strings conf_dirs;
};

static void strings_release(struct strings strings)
{
	for (size_t i = 0; i < strings.nr; i++)
		free(strings.item[i]);
	free(strings.item);
}

static void object_release(struct object object)
{
	free(object.guest_path);
	free(object.source_path);
	free(object.wanted);
	free(object.soname);
	free(object.interp);
	free(object.rpath);
	free(object.runpath);
	strings_release(object.needed);
}

static void closure_release(struct closure closure)
{
	for (size_t i = 0; i < closure.nr; i++)
		object_release(closure.object[i]);
	free(closure.object);
	strings_release(closure.conf_dirs);
}

static inline void elf_reader_free(Elf *elf)
{
	if (elf)
		elf_end(elf);
}

HS_SCOPED(elf_reader, Elf *, elf_reader_free)
HS_SCOPED(object, struct object, object_release)
HS_SCOPED(closure, struct closure, closure_release)

static int strings_add(struct strings *strings, const char *text)
{
	char **item = reallocarray(strings->item, strings->nr + 1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	strings->item = item;
	item[strings->nr] = strdup(text);
	if (!item[strings->nr])
		return -ENOMEM;
	strings->nr++;
	return 0;
}

static int text_replace(char **slot, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}

/* ---- one file ---------------------------------------------------------------------------------- */

/* The `len` bytes at file offset `offset` as text that ends inside them, or NULL. */
static const char *text_at(Elf *elf, uint64_t offset, uint64_t len)
{
	Elf_Data *data = len <= INT64_MAX && offset <= INT64_MAX ?
				 elf_getdata_rawchunk(elf, (int64_t)offset, len, ELF_T_BYTE) :
				 NULL;

	return data && data->d_size > 0 && memchr(data->d_buf, 0, data->d_size) ? data->d_buf : NULL;
}

static bool address_to_offset(Elf *elf, uint64_t address, uint64_t *offset)
{
	size_t nr = 0;
	GElf_Phdr phdr;

	if (elf_getphdrnum(elf, &nr) < 0)
		return false;
	for (size_t i = 0; i < nr; i++) {
		if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_LOAD || address < phdr.p_vaddr ||
		    address - phdr.p_vaddr >= phdr.p_filesz)
			continue;
		*offset = phdr.p_offset + (address - phdr.p_vaddr);
		return true;
	}
	return false;
}

/* The dynamic section's string table, as [table, table + len). */
static const char *dynamic_strings(Elf *elf, Elf_Data *dynamic, size_t *len)
{
	uint64_t address = 0, offset, size = 0;
	Elf_Data *data;
	GElf_Dyn dyn;

	for (int i = 0; gelf_getdyn(dynamic, i, &dyn) && dyn.d_tag != DT_NULL; i++) {
		if (dyn.d_tag == DT_STRTAB)
			address = dyn.d_un.d_ptr;
		if (dyn.d_tag == DT_STRSZ)
			size = dyn.d_un.d_val;
	}
	if (size == 0 || size > INT32_MAX || !address_to_offset(elf, address, &offset) || offset > INT64_MAX)
		return NULL;
	data = elf_getdata_rawchunk(elf, (int64_t)offset, size, ELF_T_BYTE);
	if (!data)
		return NULL;
	*len = data->d_size;
	return data->d_buf;
}

static int dynamic_entry_read(const GElf_Dyn *dyn, const char *text, struct object *object)
{
	switch (dyn->d_tag) {
	case DT_NEEDED:
		return strings_add(&object->needed, text);
	case DT_SONAME:
		return text_replace(&object->soname, text);
	case DT_RPATH:
		return text_replace(&object->rpath, text);
	case DT_RUNPATH:
		return text_replace(&object->runpath, text);
	}
	return 0;
}

static int dynamic_read(Elf *elf, const GElf_Phdr *phdr, struct object *object)
{
	Elf_Data *dynamic = phdr->p_offset <= INT64_MAX ? elf_getdata_rawchunk(elf, (int64_t)phdr->p_offset,
									       phdr->p_filesz, ELF_T_DYN) :
							  NULL;
	const char *table;
	size_t len = 0;
	GElf_Dyn dyn;
	int err = 0;

	if (!dynamic)
		return -EBADMSG;
	table = dynamic_strings(elf, dynamic, &len);
	for (int i = 0; !err && gelf_getdyn(dynamic, i, &dyn) && dyn.d_tag != DT_NULL; i++) {
		if (dyn.d_tag != DT_NEEDED && dyn.d_tag != DT_SONAME && dyn.d_tag != DT_RPATH &&
		    dyn.d_tag != DT_RUNPATH)
			continue;
		if (!table || dyn.d_un.d_val >= len ||
		    !memchr(table + dyn.d_un.d_val, 0, len - dyn.d_un.d_val))
			return -EBADMSG;
		err = dynamic_entry_read(&dyn, table + dyn.d_un.d_val, object);
	}
	return err;
}

static int headers_read(Elf *elf, struct object *object)
{
	size_t nr = 0;
	int err = 0;

	if (elf_getphdrnum(elf, &nr) < 0)
		return -EBADMSG;
	for (size_t i = 0; !err && i < nr; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf, (int)i, &phdr))
			return -EBADMSG;
		if (phdr.p_type == PT_DYNAMIC)
			err = dynamic_read(elf, &phdr, object);
		if (phdr.p_type == PT_INTERP) {
			const char *interp = text_at(elf, phdr.p_offset, phdr.p_filesz);

			if (!interp || interp[0] != '/')
				return -EBADMSG;
			err = text_replace(&object->interp, interp);
		}
	}
	return err;
}

/* Fills in what the file says. Silent. -ENOEXEC: no ELF file; -EBADMSG: a damaged one. */
static int object_read(const char *path, struct object *object)
{
	scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	scoped(elf_reader) Elf *elf = NULL;
	struct stat st;
	GElf_Ehdr header;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return -ENOEXEC;
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return -ENOEXEC;
	object->class = header.e_ident[EI_CLASS];
	object->machine = header.e_machine;
	return headers_read(elf, object);
}

/* ---- where to look ----------------------------------------------------------------------------- */

static int conf_read(const char *path, unsigned int depth, struct strings *dirs);

static int conf_include(const char *pattern, unsigned int depth, struct strings *dirs)
{
	scoped(mem) char *full = NULL;
	glob_t found = { 0 };
	int err = 0;

	if (asprintf(&full, "%s%s", pattern[0] == '/' ? "" : "/etc/", pattern) < 0)
		return -ENOMEM;
	if (glob(full, 0, NULL, &found) == 0)
		for (size_t i = 0; !err && i < found.gl_pathc; i++)
			err = conf_read(found.gl_pathv[i], depth + 1, dirs);
	globfree(&found);
	return err;
}

/* ldconfig(8)'s file: one folder a line, comments, "include PATTERN". One that is absent has no folders. */
static int conf_read(const char *path, unsigned int depth, struct strings *dirs)
{
	scoped(file) FILE *file = depth < CONF_DEPTH_MAX ? fopen(path, "re") : NULL;
	scoped(mem) char *line = NULL;
	size_t room = 0;
	int err = 0;

	while (!err && file && getline(&line, &room, file) >= 0) {
		char *text = line + strspn(line, " \t");

		text[strcspn(text, "#\n\r")] = 0;
		for (size_t len = strlen(text); len > 0 && strchr(" \t", text[len - 1]); len--)
			text[len - 1] = 0;
		if (strncmp(text, "include", 7) == 0 && strchr(" \t", text[7]) && text[7])
			err = conf_include(text + 7 + strspn(text + 7, " \t"), depth, dirs);
		else if (text[0] == '/')
			err = strings_add(dirs, text);
	}
	return err;
}

static bool is_default_dir(const char *dir)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(default_dirs); i++)
		if (strcmp(dir, default_dirs[i]) == 0)
			return true;
	return false;
}

/* The folder of the guest that its loader searches unasked and that exists here. */
static const char *guest_default_dir(void)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(default_dirs); i++)
		if (access(default_dirs[i], F_OK) == 0)
			return default_dirs[i];
	return default_dirs[0];
}

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash > path ? strndup(path, (size_t)(slash - path)) : strdup("/");
}

/* Copies a part of a search path with $ORIGIN and $LIB put in; NULL when it holds another token. */
static char *tokens_expand(const char *part, size_t part_len, const char *origin)
{
	static const char *const tokens[] = { "$ORIGIN", "${ORIGIN}", "$LIB", "${LIB}" };
	const char *values[] = { origin, origin, "lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu" };
	scoped(mem) char *text = NULL;
	scoped(file) FILE *stream = NULL;
	size_t len = 0;

	stream = open_memstream(&text, &len);
	for (size_t at = 0; stream && at < part_len;) {
		size_t i = 0;

		if (part[at] != '$') {
			fputc(part[at++], stream);
			continue;
		}
		while (i < HS_ARRAY_SIZE(tokens) && strncmp(part + at, tokens[i], strlen(tokens[i])) != 0)
			i++;
		if (i == HS_ARRAY_SIZE(tokens))
			return NULL;
		fputs(values[i], stream);
		at += strlen(tokens[i]);
	}
	if (!stream || fflush(stream) != 0)
		return NULL;
	return strdup(text);
}

/* ---- the search -------------------------------------------------------------------------------- */

/*
 * Takes the library if it is there and of the program's kind. 1: taken, 0: look further, or -errno.
 * guest_dir is where the guest's loader finds it.
 */
static int candidate_try(struct closure *closure, const char *source_dir, const char *guest_dir,
			 const char *name, size_t loader)
{
	scoped(object) struct object object = { .loader = loader };
	struct object *grown;
	int err;

	if (closure->nr == OBJECTS_MAX)
		return -E2BIG;
	if (asprintf(&object.source_path, "%s/%s", source_dir, name) < 0) {
		object.source_path = NULL;
		return -ENOMEM;
	}
	err = object_read(object.source_path, &object);
	if (err)
		return err == -ENOMEM ? err : 0;
	if (object.class != closure->object[0].class || object.machine != closure->object[0].machine)
		return 0;
	if (asprintf(&object.guest_path, "%s/%s", guest_dir, name) < 0) {
		object.guest_path = NULL;
		return -ENOMEM;
	}
	object.wanted = strdup(name);
	grown = reallocarray(closure->object, closure->nr + 1, sizeof(*grown));
	if (grown)
		closure->object = grown;
	if (!grown || !object.wanted)
		return -ENOMEM;
	closure->object[closure->nr++] = object;
	object = (struct object){ 0 };
	return 1;
}

/* The folders of a DT_RPATH or DT_RUNPATH that stands in object `owner`. */
static int search_path_try(struct closure *closure, size_t owner, bool runpath, const char *name,
			   size_t loader)
{
	/* Copies: the array of objects moves when one is added. */
	scoped(mem) char *source_origin = dir_of(closure->object[owner].source_path);
	scoped(mem) char *guest_origin = dir_of(closure->object[owner].guest_path);
	const char *path = runpath ? closure->object[owner].runpath : closure->object[owner].rpath;
	int found = 0;

	if (!source_origin || !guest_origin)
		return -ENOMEM;
	while (path && *path && !found) {
		size_t len = strcspn(path, ":");
		scoped(mem) char *source_dir = tokens_expand(path, len, source_origin);
		scoped(mem) char *guest_dir = tokens_expand(path, len, guest_origin);

		if (source_dir && guest_dir && source_dir[0] == '/')
			found = candidate_try(closure, source_dir, guest_dir, name, loader);
		path += len + (path[len] == ':');
	}
	return found;
}

static int standard_dirs_try(struct closure *closure, const char *name, size_t loader)
{
	int found = 0;

	for (size_t i = 0; !found && i < closure->conf_dirs.nr; i++) {
		const char *dir = closure->conf_dirs.item[i];

		found = candidate_try(closure, dir, is_default_dir(dir) ? dir : guest_default_dir(), name,
				      loader);
	}
	for (size_t i = 0; !found && i < HS_ARRAY_SIZE(default_dirs); i++)
		found = candidate_try(closure, default_dirs[i], default_dirs[i], name, loader);
	return found;
}

static bool is_loaded(const struct closure *closure, const char *name)
{
	for (size_t i = 1; i < closure->nr; i++) {
		const struct object *object = &closure->object[i];

		if ((object->wanted && strcmp(object->wanted, name) == 0) ||
		    (object->soname && strcmp(object->soname, name) == 0))
			return true;
	}
	return false;
}

/* glibc, _dl_map_object: DT_RPATH of the asker and of its askers unless it has DT_RUNPATH, then that. */
static int library_find(struct closure *closure, const char *name, size_t loader)
{
	int found = 0;

	if (strchr(name, '/'))
		return name[0] == '/' ? candidate_try(closure, "", "", name + 1, loader) : 0;
	if (!closure->object[loader].runpath)
		for (size_t i = loader; !found && i != NO_LOADER; i = closure->object[i].loader)
			if (closure->object[i].rpath && !closure->object[i].runpath)
				found = search_path_try(closure, i, false, name, loader);
	if (!found)
		found = search_path_try(closure, loader, true, name, loader);
	if (!found)
		found = standard_dirs_try(closure, name, loader);
	return found;
}

static int libraries_add(struct closure *closure)
{
	for (size_t i = 0; i < closure->nr; i++) {
		for (size_t j = 0; j < closure->object[i].needed.nr; j++) {
			/* Stays where it is: only the array of objects moves. */
			const char *name = closure->object[i].needed.item[j];
			int found = is_loaded(closure, name) ? 1 : library_find(closure, name, i);

			if (found < 0)
				return hs_fail(found, "cannot read the libraries of %s:",
					       closure->object[0].source_path);
			if (!found)
				return hs_fail(-ENOENT,
					       "cannot find %s, which %s needs: install its package",
					       name, closure->object[i].source_path);
		}
	}
	return 0;
}

static int interpreter_add(struct closure *closure)
{
	const char *interp = closure->object[0].interp;
	int found = interp ? candidate_try(closure, "", "", interp + 1, 0) : 1;

	if (found < 0)
		return hs_fail(found, "cannot read %s:", interp);
	if (!found)
		return hs_fail(-ENOENT, "cannot find %s, which %s needs: install its package",
			       interp, closure->object[0].source_path);
	return 0;
}

static int program_add(struct closure *closure, const char *path)
{
	scoped(object) struct object object = { .loader = NO_LOADER };
	int err;

	object.source_path = realpath(path, NULL);
	if (!object.source_path)
		return hs_fail(-errno, "cannot find the program %s:", path);
	/* The guest has it under the name by which it was asked for. */
	object.guest_path = strdup(path[0] == '/' ? path : object.source_path);
	closure->object = calloc(1, sizeof(*closure->object));
	if (!object.guest_path || !closure->object)
		return hs_fail(-ENOMEM, "cannot read %s:", path);
	err = object_read(object.source_path, &object);
	if (err == -ENOEXEC)
		return hs_fail(err, "%s is not an ELF program", path);
	if (err == -EBADMSG)
		return hs_fail(err, "%s is damaged: its ELF headers point outside the file", path);
	if (err)
		return hs_fail(err, "cannot read %s:", path);
	closure->object[closure->nr++] = object;
	object = (struct object){ 0 };
	return 0;
}

static int files_take(struct closure *closure, struct hs_elf_files **out)
{
	struct hs_elf_files *files = calloc(1, sizeof(*files));

	if (files)
		files->file = calloc(closure->nr, sizeof(*files->file));
	if (!files || !files->file) {
		hs_elf_files_free(files);
		return -ENOMEM;
	}
	for (; files->nr < closure->nr; files->nr++) {
		struct object *object = &closure->object[files->nr];

		files->file[files->nr].guest_path = take(object->guest_path);
		files->file[files->nr].source_path = take(object->source_path);
	}
	*out = files;
	return 0;
}

int hs_elf_closure(const char *program_path, struct hs_elf_files **out)
{
	scoped(closure) struct closure closure = { 0 };
	int err = program_add(&closure, program_path);

	if (err)
		return err;
	if (conf_read(ld_so_conf, 0, &closure.conf_dirs))
		return hs_fail(-ENOMEM, "cannot read %s:", ld_so_conf);
	err = interpreter_add(&closure);
	if (!err)
		err = libraries_add(&closure);
	if (err)
		return err;
	if (files_take(&closure, out))
		return hs_fail(-ENOMEM, "cannot list the libraries of %s:", program_path);
	return 0;
}

void hs_elf_files_free(struct hs_elf_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < files->nr; i++) {
		free(files->file[i].guest_path);
		free(files->file[i].source_path);
	}
	free(files->file);
	free(files);
}
