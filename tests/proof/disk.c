/* Preloaded into a process: writes down everything that it does to the files below a directory, has some of it fail, and moves the
 * clock. What is written down is read by disk_log.py, the orders are written by shim.py; both know the structures below.
 *
 * DOORWARD_DISK_ROOT: the directory.  DOORWARD_DISK_LOG: where to write.  DOORWARD_DISK_ORDERS: a file with `struct orders`.
 *
 * One lock is held around every change and its entry, so that entries of a process stand in the order of what they tell.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, NAMES = 4 };

struct orders {
    int32_t kinds, error, after, times, seen, failed;
    int64_t clock;  /* nanoseconds that the clock is moved by */
    char only[64];  /* in the path of what fails; empty: everything */
};

struct entry {
    uint8_t kind, unused[3];
    uint32_t process;
    uint64_t file, at;
    uint32_t name, other, data;
} __attribute__((packed));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root, *log_path;
static struct orders *orders;
static int log_file = -1;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static void forked(void) { pthread_mutex_init(&lock, NULL); }

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DOORWARD_DISK_ORDERS");
    root = getenv("DOORWARD_DISK_ROOT");
    log_path = getenv("DOORWARD_DISK_LOG");
    pthread_atfork(NULL, NULL, forked);
    if (path) {
        int file = REAL(open)(path, O_RDWR | O_CLOEXEC);
        if (file >= 0) {
            void *found = mmap(NULL, sizeof(struct orders), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            orders = found == MAP_FAILED ? NULL : found;
            close(file);
        }
    }
}

static int is_below(const char *path) {
    size_t length = root ? strlen(root) : 0;
    return length && !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

/* The path of an open file; 0 where it is none of ours. */
static int path_of(int file, char *path) {
    char link[64];
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0 && is_below(path);
}

static int named(int directory, const char *name, char *path) {
    char whole[2 * PATH_MAX], parent[PATH_MAX], base[NAME_MAX + 1];
    char *slash;
    if (name[0] == '/' || directory == AT_FDCWD) snprintf(whole, sizeof whole, "%s", name);
    else snprintf(whole, sizeof whole, "/proc/self/fd/%d/%s", directory, name);
    slash = strrchr(whole, '/');
    snprintf(base, sizeof base, "%.*s", NAME_MAX, slash ? slash + 1 : whole);
    if (slash) *slash = 0;
    if (!realpath(slash ? (slash == whole ? "/" : whole) : ".", parent)) return 0;
    snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - NAME_MAX - 2, parent, base);
    return is_below(path);
}

static void note(char kind, uint64_t file, uint64_t at, const char *name, const char *other, const void *data, size_t size) {
    struct entry entry = {.kind = kind, .process = getpid(), .file = file, .at = at};
    int kept = errno;
    char *all;
    if (!log_path) return;
    if (log_file < 0 || fcntl(log_file, F_GETFD) < 0) {
        int opened = REAL(open)(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        log_file = fcntl(opened, F_DUPFD_CLOEXEC, 300);
        close(opened);
    }
    entry.name = strlen(name), entry.other = strlen(other), entry.data = size;
    all = malloc(sizeof entry + entry.name + entry.other + size);
    memcpy(all, &entry, sizeof entry);
    memcpy(all + sizeof entry, name, entry.name);
    memcpy(all + sizeof entry + entry.name, other, entry.other);
    if (size) memcpy(all + sizeof entry + entry.name + entry.other, data, size);
    if (REAL(write)(log_file, all, sizeof entry + entry.name + entry.other + size) < 0) abort();
    free(all);
    errno = kept;
}

static uint64_t number_of(int file) {
    struct stat about;
    return fstat(file, &about) ? 0 : about.st_ino;
}

/* Whether an order says that this fails; sets errno then. */
static int fails(int kind, const char *path) {
    if (!orders || !(orders->kinds & kind) || (orders->only[0] && !strstr(path, orders->only))) return 0;
    orders->seen++;
    if (orders->after > 0) { orders->after--; return 0; }
    if (!orders->times) return 0;
    if (orders->times > 0) orders->times--;
    orders->failed++;
    errno = orders->error;
    return 1;
}

#define LOCKED(type, work) ({ type result_; pthread_mutex_lock(&lock); result_ = (work); pthread_mutex_unlock(&lock); result_; })

static int opened(int directory, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat about;
    int is_ours = (flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)) && (flags & O_TMPFILE) != O_TMPFILE && named(directory, name, path);
    int is_new, result;
    if (!is_ours) return REAL(openat)(directory, name, flags, mode);
    is_new = (flags & O_CREAT) && lstat(path, &about);
    if ((is_new || (orders && orders->error == EROFS)) && fails(NAMES, path)) return -1;
    result = REAL(openat)(directory, name, flags, mode);
    if (result >= 0 && is_new) note('O', number_of(result), mode, path, "", NULL, 0);
    else if (result >= 0 && (flags & O_TRUNC)) note('T', number_of(result), 0, path, "", NULL, 0);
    return result;
}

#define MODE ({ mode_t mode_ = 0; if (flags & O_CREAT) { va_list list; va_start(list, flags); mode_ = va_arg(list, mode_t); va_end(list); } mode_; })
int open(const char *name, int flags, ...) { mode_t mode = MODE; return LOCKED(int, opened(AT_FDCWD, name, flags, mode)); }
int open64(const char *name, int flags, ...) { mode_t mode = MODE; return LOCKED(int, opened(AT_FDCWD, name, flags, mode)); }
int openat(int d, const char *name, int flags, ...) { mode_t mode = MODE; return LOCKED(int, opened(d, name, flags, mode)); }
int openat64(int d, const char *name, int flags, ...) { mode_t mode = MODE; return LOCKED(int, opened(d, name, flags, mode)); }

static ssize_t written(int file, const void *data, size_t size, off_t at, int is_placed) {
    char path[PATH_MAX];
    ssize_t done;
    if (!path_of(file, path)) return is_placed ? REAL(pwrite)(file, data, size, at) : REAL(write)(file, data, size);
    if (fails(WRITES, path)) return -1;
    done = is_placed ? REAL(pwrite)(file, data, size, at) : REAL(write)(file, data, size);
    if (done > 0) note('W', number_of(file), is_placed ? at : lseek(file, 0, SEEK_CUR) - done, path, "", data, done);
    return done;
}

/* A signal handler may come here to wake its process up, in the middle of a change: what is none of ours takes no lock. */
ssize_t write(int file, const void *data, size_t size) {
    static __typeof__(&write) found;
    char path[PATH_MAX];
    if (!found) found = REAL(write);
    if (file == log_file || file < 3 || !path_of(file, path)) return found(file, data, size);
    return LOCKED(ssize_t, written(file, data, size, 0, 0));
}
ssize_t pwrite(int f, const void *data, size_t size, off_t at) { return LOCKED(ssize_t, written(f, data, size, at, 1)); }
ssize_t pwrite64(int f, const void *data, size_t size, off64_t at) { return LOCKED(ssize_t, written(f, data, size, at, 1)); }

ssize_t writev(int file, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    ssize_t done = 0;
    if (!path_of(file, path)) return REAL(writev)(file, parts, count);
    for (int part = 0; part < count; part++) {
        ssize_t more = write(file, parts[part].iov_base, parts[part].iov_len);
        if (more < 0) return done ? done : more;
        done += more;
        if ((size_t)more < parts[part].iov_len) break;
    }
    return done;
}

/* What the kernel copied is read back. */
static ssize_t copied(int to, off_t at, ssize_t done, const char *path) {
    char *data = done > 0 ? malloc(done) : NULL;
    int file;
    if (!data) return done;
    file = REAL(open)(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && pread(file, data, done, at) == done) note('W', number_of(to), at, path, "", data, done);
    if (file >= 0) close(file);
    free(data);
    return done;
}

static ssize_t sent(int to, int from, off_t *offset, size_t size) {
    char path[PATH_MAX];
    off_t at = lseek(to, 0, SEEK_CUR);
    if (!path_of(to, path)) return REAL(sendfile)(to, from, offset, size);
    if (fails(WRITES, path)) return -1;
    return copied(to, at, REAL(sendfile)(to, from, offset, size), path);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t size) { return LOCKED(ssize_t, sent(to, from, offset, size)); }
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) { return LOCKED(ssize_t, sent(to, from, offset, size)); }
ssize_t copy_file_range(int a, off64_t *b, int c, off64_t *d, size_t size, unsigned flags) {
    (void)a, (void)b, (void)c, (void)d, (void)size, (void)flags;
    errno = ENOSYS;  /* programs fall back to what is seen here */
    return -1;
}

static int synced(int file, int is_whole) {
    char path[PATH_MAX];
    int result;
    if (!path_of(file, path)) return is_whole ? REAL(fsync)(file) : REAL(fdatasync)(file);
    if (fails(SYNCS, path)) { note('E', number_of(file), 0, path, "", NULL, 0); return -1; }
    result = 0;  /* nothing is really lost here, and a disk that does nothing is a fast one */
    note('S', number_of(file), 0, path, "", NULL, 0);
    return result;
}
int fsync(int file) { return LOCKED(int, synced(file, 1)); }
int fdatasync(int file) { return LOCKED(int, synced(file, 0)); }

static int resized(int file, off_t size) {
    char path[PATH_MAX];
    int result;
    if (!path_of(file, path)) return REAL(ftruncate)(file, size);
    if (fails(WRITES, path)) return -1;
    result = REAL(ftruncate)(file, size);
    if (!result) note('T', number_of(file), size, path, "", NULL, 0);
    return result;
}
int ftruncate(int file, off_t size) { return LOCKED(int, resized(file, size)); }
int ftruncate64(int file, off64_t size) { return LOCKED(int, resized(file, size)); }

static int reserved(int file, off_t end) {
    char path[PATH_MAX];
    struct stat about;
    if (!path_of(file, path)) return 0;
    if (fails(WRITES, path)) return errno;
    if (!fstat(file, &about) && about.st_size < end) note('T', about.st_ino, end, path, "", NULL, 0);
    return 0;
}
static int allocated(int file, off_t at, off_t size) {
    int refused = reserved(file, at + size);
    return refused ? refused : REAL(posix_fallocate)(file, at, size);
}
int posix_fallocate(int file, off_t at, off_t size) { return LOCKED(int, allocated(file, at, size)); }
int posix_fallocate64(int file, off64_t at, off64_t size) { return LOCKED(int, allocated(file, at, size)); }
int fallocate(int file, int mode, off_t at, off_t size) {
    (void)file, (void)mode, (void)at, (void)size;
    errno = EOPNOTSUPP;
    return -1;
}
int fallocate64(int file, int mode, off64_t at, off64_t size) { return fallocate(file, mode, at, size); }

static int moved(int from, const char *name, int to, const char *other) {
    char path[PATH_MAX], target[PATH_MAX];
    int result;
    if (!named(to, other, target)) return REAL(renameat)(from, name, to, other);
    named(from, name, path);
    if (fails(NAMES, target)) return -1;
    result = REAL(renameat)(from, name, to, other);
    if (!result) note('R', 0, 0, path, target, NULL, 0);
    return result;
}
int rename(const char *name, const char *other) { return LOCKED(int, moved(AT_FDCWD, name, AT_FDCWD, other)); }
int renameat(int from, const char *name, int to, const char *other) { return LOCKED(int, moved(from, name, to, other)); }

static int removed(int directory, const char *name, int flags) {
    char path[PATH_MAX];
    int result;
    if (!named(directory, name, path)) return REAL(unlinkat)(directory, name, flags);
    if (fails(NAMES, path)) return -1;
    result = REAL(unlinkat)(directory, name, flags);
    if (!result) note('U', 0, 0, path, "", NULL, 0);
    return result;
}
int unlink(const char *name) { return LOCKED(int, removed(AT_FDCWD, name, 0)); }
int rmdir(const char *name) { return LOCKED(int, removed(AT_FDCWD, name, AT_REMOVEDIR)); }
int unlinkat(int directory, const char *name, int flags) { return LOCKED(int, removed(directory, name, flags)); }

static int founded(int directory, const char *name, mode_t mode) {
    char path[PATH_MAX];
    int result;
    if (!named(directory, name, path)) return REAL(mkdirat)(directory, name, mode);
    if (fails(NAMES, path)) return -1;
    result = REAL(mkdirat)(directory, name, mode);
    if (!result) note('D', 0, mode, path, "", NULL, 0);
    return result;
}
int mkdir(const char *name, mode_t mode) { return LOCKED(int, founded(AT_FDCWD, name, mode)); }
int mkdirat(int directory, const char *name, mode_t mode) { return LOCKED(int, founded(directory, name, mode)); }

static int pointed(const char *content, int directory, const char *name) {
    char path[PATH_MAX];
    int result;
    if (!named(directory, name, path)) return REAL(symlinkat)(content, directory, name);
    if (fails(NAMES, path)) return -1;
    result = REAL(symlinkat)(content, directory, name);
    if (!result) note('Y', 0, 0, path, content, NULL, 0);
    return result;
}
int symlink(const char *content, const char *name) { return LOCKED(int, pointed(content, AT_FDCWD, name)); }
int symlinkat(const char *content, int d, const char *name) { return LOCKED(int, pointed(content, d, name)); }

static int linked(int from, const char *name, int to, const char *other, int flags) {
    char path[PATH_MAX], target[PATH_MAX];
    struct stat about;
    int result;
    if (!named(to, other, target)) return REAL(linkat)(from, name, to, other, flags);
    named(from, name, path);
    if (fails(NAMES, target)) return -1;
    result = REAL(linkat)(from, name, to, other, flags);
    if (!result) note('L', stat(target, &about) ? 0 : about.st_ino, 0, path, target, NULL, 0);
    return result;
}
int link(const char *name, const char *other) { return LOCKED(int, linked(AT_FDCWD, name, AT_FDCWD, other, 0)); }
int linkat(int from, const char *n, int to, const char *o, int flags) { return LOCKED(int, linked(from, n, to, o, flags)); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    static __typeof__(&clock_gettime) found;
    if (!found) found = REAL(clock_gettime);
    int result = found(clock, now);
    if (!result && orders && orders->clock && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t moved = now->tv_sec * INT64_C(1000000000) + now->tv_nsec + orders->clock;
        now->tv_sec = moved / 1000000000, now->tv_nsec = moved % 1000000000;
    }
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &found)) return -1;
    now->tv_sec = found.tv_sec, now->tv_usec = found.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *kept) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (kept) *kept = found.tv_sec;
    return found.tv_sec;
}
