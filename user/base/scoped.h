/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ownership of locals. A local that owns something is declared with scoped(kind) and frees itself when
 * it leaves its scope; what leaves alive does so through take() or take_fd(), and through nothing else.
 * A type joins by HS_SCOPED(name, type, free_function) beside its declaration.
 */
#ifndef HS_BASE_SCOPED_H
#define HS_BASE_SCOPED_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define scoped(kind) __attribute__((cleanup(kind##_scoped)))

/* The free function must take NULL (or the type's empty value). */
#define HS_SCOPED(kind, type, free_fn)                                                             \
	static inline void kind##_scoped(type *owner)                                              \
	{                                                                                          \
		free_fn(*owner);                                                                   \
	}

#define take(pointer)                                                                              \
	({                                                                                         \
		__typeof__(pointer) taken = (pointer);                                             \
		(pointer) = NULL;                                                                  \
		taken;                                                                             \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* scoped(mem) char *text = NULL; */
static inline void mem_scoped(void *owner)
{
	free(*(void **)owner);
}

/* scoped(fd) int fd = -1; */
static inline void fd_scoped(int *owner)
{
	if (*owner >= 0)
		close(*owner);
}

static inline void hs_file_close(FILE *file)
{
	if (file)
		fclose(file);
}

static inline void hs_dir_close(DIR *dir)
{
	if (dir)
		closedir(dir);
}

HS_SCOPED(file, FILE *, hs_file_close)
HS_SCOPED(dir, DIR *, hs_dir_close)

#define HS_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
