/* Counts what a process changes on disk below one folder, and ends it with SIGKILL before the k-th change.
 *
 * For LD_PRELOAD. Nothing happens until `file_operations_arm` is called. Each change is written to a log, one line
 * `operation path`, before it is done; a rename has both paths, a tab between. A sync is logged and not counted: it
 * changes nothing that the next process could see. Built and used by tests/soak/preload.py.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static size_t folder_length;
static long die_before;
static int log_to = -1;
static atomic_int armed;
static atomic_long counted;

/* Watches `below` (an absolute path without links). `k` 0: only count. `log` -1: no log. */
void file_operations_arm(const char *below, long k, int log) {
    folder_length = strlen(below);
    memcpy(folder, below, folder_length + 1);
    die_before = k;
    log_to = log;
    atomic_store(&counted, 0);
    atomic_store(&armed, 1);
}

/* Stops counting; how many changes there were. */
long file_operations_disarm(void) {
    atomic_store(&armed, 0);
    return atomic_load(&counted);
}

static long (*plain_syscall)(long, ...);

static void *next(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

/* The absolute path of `path` relative to the directory `at`; of `at` itself where `path` is NULL. */
static void resolve(int at, const char *path, char *out) {
    out[0] = 0;
    if (path && path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
        return;
    }
    char link[64], base[PATH_MAX];
    if (at == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t length = readlink(link, base, sizeof base - 1);
    if (length < 0)
        return;
    base[length] = 0;
    if (path)
        snprintf(out, PATH_MAX, "%.*s/%s", (int)(PATH_MAX / 2), base, path);
    else
        snprintf(out, PATH_MAX, "%s", base);
}

static int below(const char *path) {
    return strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || path[folder_length] == 0);
}

static void about_to(const char *operation, int at, const char *path, int to_at, const char *to) {
    if (!atomic_load(&armed))
        return;
    int kept = errno;
    char one[PATH_MAX], two[PATH_MAX] = "";
    resolve(at, path, one);
    if (to)
        resolve(to_at, to, two);
    if (below(one) || (to && below(two))) {
        int changes = strcmp(operation, "sync") != 0;
        long number = changes ? atomic_fetch_add(&counted, 1) + 1 : 0;
        if (log_to >= 0) {
            char line[2 * PATH_MAX + 32];
            int length = snprintf(line, sizeof line, to ? "%s %s\t%s\n" : "%s %s\n", operation, one, two);
            plain_syscall(SYS_write, log_to, line, (size_t)length);
        }
        if (changes && number == die_before) {
            kill(getpid(), SIGKILL);
            for (;;)
                pause();
        }
    }
    errno = kept;
}

#define REAL(result, name, ...)                                  \
    static result (*real)(__VA_ARGS__);                          \
    if (!real)                                                   \
        real = (result(*)(__VA_ARGS__))next(#name)

#define CHANGES_FILE(flags) ((flags) & (O_CREAT | O_TRUNC))

#define OPEN(name)                                               \
    int name(const char *path, int flags, ...) {                 \
        REAL(int, name, const char *, int, ...);                 \
        va_list more;                                            \
        va_start(more, flags);                                   \
        mode_t mode = va_arg(more, mode_t);                      \
        va_end(more);                                            \
        if (CHANGES_FILE(flags))                                 \
            about_to("open", AT_FDCWD, path, 0, NULL);           \
        return real(path, flags, mode);                          \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                             \
    int name(int at, const char *path, int flags, ...) {         \
        REAL(int, name, int, const char *, int, ...);            \
        va_list more;                                            \
        va_start(more, flags);                                   \
        mode_t mode = va_arg(more, mode_t);                      \
        va_end(more);                                            \
        if (CHANGES_FILE(flags))                                 \
            about_to("open", at, path, 0, NULL);                 \
        return real(at, path, flags, mode);                      \
    }
OPENAT(openat)
OPENAT(openat64)

#define CREAT(name)                                              \
    int name(const char *path, mode_t mode) {                    \
        REAL(int, name, const char *, mode_t);                   \
        about_to("open", AT_FDCWD, path, 0, NULL);               \
        return real(path, mode);                                 \
    }
CREAT(creat)
CREAT(creat64)

#define FOPEN(name)                                              \
    FILE *name(const char *path, const char *mode) {             \
        REAL(FILE *, name, const char *, const char *);          \
        if (mode[0] != 'r')                                      \
            about_to("open", AT_FDCWD, path, 0, NULL);           \
        return real(path, mode);                                 \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int file, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    about_to("write", file, NULL, 0, NULL);
    return real(file, data, size);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    about_to("write", file, NULL, 0, NULL);
    return real(file, parts, count);
}

#define PWRITE(name)                                                    \
    ssize_t name(int file, const void *data, size_t size, off_t at) {   \
        REAL(ssize_t, name, int, const void *, size_t, off_t);          \
        about_to("write", file, NULL, 0, NULL);                         \
        return real(file, data, size, at);                              \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                         \
    ssize_t name(int file, const struct iovec *parts, int count, off_t at) {  \
        REAL(ssize_t, name, int, const struct iovec *, int, off_t);           \
        about_to("write", file, NULL, 0, NULL);                               \
        return real(file, parts, count, at);                                  \
    }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define TRUNCATE_FILE(name)                                      \
    int name(int file, off_t size) {                             \
        REAL(int, name, int, off_t);                             \
        about_to("truncate", file, NULL, 0, NULL);               \
        return real(file, size);                                 \
    }
TRUNCATE_FILE(ftruncate)
TRUNCATE_FILE(ftruncate64)

#define TRUNCATE_PATH(name)                                      \
    int name(const char *path, off_t size) {                     \
        REAL(int, name, const char *, off_t);                    \
        about_to("truncate", AT_FDCWD, path, 0, NULL);           \
        return real(path, size);                                 \
    }
TRUNCATE_PATH(truncate)
TRUNCATE_PATH(truncate64)

#define ALLOCATE(name, result)                                   \
    result name(int file, off_t at, off_t size) {                \
        REAL(result, name, int, off_t, off_t);                   \
        about_to("allocate", file, NULL, 0, NULL);               \
        return real(file, at, size);                             \
    }
ALLOCATE(posix_fallocate, int)
ALLOCATE(posix_fallocate64, int)

int fallocate(int file, int mode, off_t at, off_t size) {
    REAL(int, fallocate, int, int, off_t, off_t);
    about_to("allocate", file, NULL, 0, NULL);
    return real(file, mode, at, size);
}

#define SYNC(name)                                               \
    int name(int file) {                                         \
        REAL(int, name, int);                                    \
        about_to("sync", file, NULL, 0, NULL);                   \
        return real(file);                                       \
    }
SYNC(fsync)
SYNC(fdatasync)
SYNC(syncfs)

#define TWO_PATHS(name)                                          \
    int name(const char *from, const char *to) {                 \
        REAL(int, name, const char *, const char *);             \
        about_to(#name, AT_FDCWD, from, AT_FDCWD, to);           \
        return real(from, to);                                   \
    }
TWO_PATHS(rename)
TWO_PATHS(link)
TWO_PATHS(symlink)

int renameat(int from_at, const char *from, int to_at, const char *to) {
    REAL(int, renameat, int, const char *, int, const char *);
    about_to("rename", from_at, from, to_at, to);
    return real(from_at, from, to_at, to);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    about_to("rename", from_at, from, to_at, to);
    return real(from_at, from, to_at, to, flags);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    about_to("link", from_at, from, to_at, to);
    return real(from_at, from, to_at, to, flags);
}

#define ONE_PATH(name, operation)                                \
    int name(const char *path) {                                 \
        REAL(int, name, const char *);                           \
        about_to(operation, AT_FDCWD, path, 0, NULL);            \
        return real(path);                                       \
    }
ONE_PATH(unlink, "unlink")
ONE_PATH(remove, "unlink")
ONE_PATH(rmdir, "rmdir")

int unlinkat(int at, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    about_to(flags & AT_REMOVEDIR ? "rmdir" : "unlink", at, path, 0, NULL);
    return real(at, path, flags);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    about_to("mkdir", AT_FDCWD, path, 0, NULL);
    return real(path, mode);
}

int mkdirat(int at, const char *path, mode_t mode) {
    REAL(int, mkdirat, int, const char *, mode_t);
    about_to("mkdir", at, path, 0, NULL);
    return real(at, path, mode);
}

/* The engine renames by system call, for a flag that its C library may not know. */
long syscall(long number, ...) {
    va_list more;
    va_start(more, number);
    long a = va_arg(more, long), b = va_arg(more, long), c = va_arg(more, long);
    long d = va_arg(more, long), e = va_arg(more, long), f = va_arg(more, long);
    va_end(more);
    if (number == SYS_renameat2)
        about_to("rename", (int)a, (const char *)b, (int)c, (const char *)d);
    return plain_syscall(number, a, b, c, d, e, f);
}

__attribute__((constructor)) static void begin(void) {
    plain_syscall = (long (*)(long, ...))next("syscall");
}
