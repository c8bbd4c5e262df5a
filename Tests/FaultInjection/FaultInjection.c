// Makes the n-th write-like system call of a program fail, or write less than asked, or the last thing that the program
// does, or sectors of a file unreadable.
//
//   FAULT_AT=n      the n-th counted call, from 1 (nothing happens without it)
//   FAULT_ERRNO=e   fails with this error number; without it the call writes half of what was asked (a short write)
//   FAULT_KILL=before  SIGKILL arrives just before the call
//   FAULT_KILL=torn    SIGKILL arrives in the middle of the call: a part of what it writes, up to a page's end, is written
//   FAULT_LOG=path  when the fault has happened, this file is made
//   FAULT_COUNT=path  when the program ends, the number of calls that can fail and of those that can be the last are
//                     written here
//
//   FAULT_READ=path:offset:length[,offset:length...]  reading these bytes of the file fails with EIO, whatever call does it
//
//   FAULT_MEMORY=bytes  malloc of so many bytes or more fails
//
//   FAULT_READ_LOG=path:log  offset and length of each read of the file, or of what the kernel is asked to read ahead, are
//                     appended to the log, a line each, in the order in which they are asked for
//
// Counted are pwrite, fdatasync, fsync and ftruncate, on regular files only; with FAULT_KILL also the other calls that
// change a file: pwritev, fallocate, posix_fallocate, copy_file_range.
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

// The calls that can fail, and all that change a file.
static atomic_long calls, changes;

static int is_file(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

static void note_fault(void) {
  const char *log = getenv("FAULT_LOG");
  if (log != NULL) close(open(log, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

// Counts a call that changes a file. The program may end here, after a part of `bytes` for `offset` has been written if
// there are any.
static void change(int fd, const void *bytes, size_t count, off_t offset) {
  if (!is_file(fd)) return;
  long number = atomic_fetch_add(&changes, 1) + 1;
  const char *at = getenv("FAULT_AT"), *how = getenv("FAULT_KILL");
  if (at == NULL || how == NULL || number != atol(at)) return;
  note_fault();
  if (strcmp(how, "torn") == 0 && bytes != NULL) {
    // The kernel looks for signals between pages.
    off_t end = (offset + (off_t)count / 2 + 4095) & ~(off_t)4095;
    if (end > offset && end < offset + (off_t)count) {
      ssize_t (*write)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
      if (write(fd, bytes, (size_t)(end - offset), offset) < 0) abort();
    }
  }
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// Whether this call, one that can fail, is the one.
static int strikes(int fd) {
  if (!is_file(fd)) return 0;
  long number = atomic_fetch_add(&calls, 1) + 1;
  const char *at = getenv("FAULT_AT");
  if (at == NULL || getenv("FAULT_KILL") != NULL || number != atol(at)) return 0;
  note_fault();
  return 1;
}

__attribute__((destructor)) static void report(void) {
  const char *path = getenv("FAULT_COUNT");
  FILE *file = path == NULL ? NULL : fopen(path, "we");
  if (file == NULL) return;
  fprintf(file, "%ld %ld\n", atomic_load(&calls), atomic_load(&changes));
  fclose(file);
}

static int fault_errno(void) {
  const char *text = getenv("FAULT_ERRNO");
  return text == NULL ? 0 : atoi(text);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset) {
  change(fd, buffer, count, offset);
  if (strikes(fd)) {
    if (fault_errno() != 0) {
      errno = fault_errno();
      return -1;
    }
    if (count > 1) count /= 2;
  }
  return REAL(pwrite)(fd, buffer, count, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t offset) {
  return pwrite(fd, buffer, count, offset);
}

static int fails(int fd) {
  change(fd, NULL, 0, 0);
  if (!strikes(fd) || fault_errno() == 0) return 0;
  errno = fault_errno();
  return 1;
}

int fdatasync(int fd) { return fails(fd) ? -1 : REAL(fdatasync)(fd); }
int fsync(int fd) { return fails(fd) ? -1 : REAL(fsync)(fd); }
int ftruncate(int fd, off_t length) { return fails(fd) ? -1 : REAL(ftruncate)(fd, length); }
int ftruncate64(int fd, off64_t length) { return fails(fd) ? -1 : REAL(ftruncate64)(fd, length); }

ssize_t pwritev(int fd, const struct iovec *places, int count, off_t offset) {
  change(fd, NULL, 0, 0);
  return REAL(pwritev)(fd, places, count, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  change(fd, NULL, 0, 0);
  return REAL(fallocate)(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }

int posix_fallocate(int fd, off_t offset, off_t length) {
  change(fd, NULL, 0, 0);
  return REAL(posix_fallocate)(fd, offset, length);
}

int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

// Whether a descriptor is of the file whose path is the first `length` bytes of `text`.
static int is_named(int fd, const char *text, size_t length) {
  char path[256];
  if (length >= sizeof path) return 0;
  memcpy(path, text, length);
  path[length] = 0;
  struct stat wanted, status;
  if (stat(path, &wanted) != 0 || fstat(fd, &status) != 0) return 0;
  return wanted.st_dev == status.st_dev && wanted.st_ino == status.st_ino;
}

static size_t memory_limit = SIZE_MAX;

__attribute__((constructor)) static void read_memory_limit(void) {
  const char *text = getenv("FAULT_MEMORY");
  if (text != NULL) memory_limit = strtoul(text, NULL, 10);
}

// Not by dlsym, which may ask for memory itself.
extern void *__libc_malloc(size_t size);

void *malloc(size_t size) {
  if (size < memory_limit) return __libc_malloc(size);
  errno = ENOMEM;
  return NULL;
}

// Notes a read in the log.
static void note_read(int fd, off_t offset, size_t count) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static int log = -1;
  const char *text = getenv("FAULT_READ_LOG");
  const char *name = text == NULL ? NULL : strchr(text, ':');
  if (name == NULL || offset < 0 || !is_named(fd, text, (size_t)(name - text))) return;
  pthread_mutex_lock(&lock);
  if (log < 0) log = open(name + 1, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (log >= 0) dprintf(log, "%lld %zu\n", (long long)offset, count);
  pthread_mutex_unlock(&lock);
}

// The other way into a file in memory is closed, so that what is written, and in how many calls, is the same each time.
long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_userfaultfd) {
    errno = ENOSYS;
    return -1;
  }
  return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// How many of `count` bytes at `offset` of a file can be read before the first bad one; -1 when there is none among them.
static ssize_t readable(int fd, off_t offset, size_t count) {
  const char *text = getenv("FAULT_READ");
  if (text == NULL || offset < 0) return -1;
  size_t length = strcspn(text, ":");
  if (!is_named(fd, text, length)) return -1;
  ssize_t first = -1;
  for (const char *next = text + length; *next != 0;) {
    char *end;
    off_t bad = strtoll(next + 1, &end, 10);
    off_t bad_end = bad + (*end == ':' ? strtoll(end + 1, &end, 10) : 0);
    if (bad < offset + (off_t)count && offset < bad_end) {
      ssize_t before = bad <= offset ? 0 : (ssize_t)(bad - offset);
      if (first < 0 || before < first) first = before;
    }
    if (*end != ',') break;
    next = end;
  }
  return first;
}

static int unreadable(void) {
  errno = EIO;
  return -1;
}

ssize_t read(int fd, void *buffer, size_t count) {
  off_t place = lseek(fd, 0, SEEK_CUR);
  note_read(fd, place, count);
  ssize_t good = readable(fd, place, count);
  if (good == 0) return unreadable();
  return REAL(read)(fd, buffer, good < 0 ? count : (size_t)good);
}

ssize_t pread(int fd, void *buffer, size_t count, off_t offset) {
  note_read(fd, offset, count);
  ssize_t good = readable(fd, offset, count);
  if (good == 0) return unreadable();
  return REAL(pread)(fd, buffer, good < 0 ? count : (size_t)good, offset);
}

ssize_t pread64(int fd, void *buffer, size_t count, off64_t offset) { return pread(fd, buffer, count, offset); }

ssize_t preadv(int fd, const struct iovec *places, int count, off_t offset) {
  size_t all = 0;
  for (int index = 0; index < count; index++) all += places[index].iov_len;
  note_read(fd, offset, all);
  ssize_t good = readable(fd, offset, all);
  if (good == 0) return unreadable();
  if (good < 0) return REAL(preadv)(fd, places, count, offset);
  // As the kernel does it: less than was asked for, up to the bad spot.
  ssize_t done = 0;
  for (int index = 0; index < count && done < good; index++) {
    size_t part = places[index].iov_len < (size_t)(good - done) ? places[index].iov_len : (size_t)(good - done);
    ssize_t result = REAL(pread)(fd, places[index].iov_base, part, offset + done);
    if (result < 0) return done > 0 ? done : -1;
    done += result;
    if ((size_t)result < part) break;
  }
  return done;
}

int posix_fadvise(int fd, off_t offset, off_t length, int advice) {
  if (advice == POSIX_FADV_WILLNEED && length > 0) note_read(fd, offset, (size_t)length);
  return REAL(posix_fadvise)(fd, offset, length, advice);
}

int posix_fadvise64(int fd, off64_t offset, off64_t length, int advice) {
  return posix_fadvise(fd, offset, length, advice);
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t count, unsigned flags) {
  change(to, NULL, 0, 0);
  if (from_offset != NULL) note_read(from, *from_offset, count);
  ssize_t good = from_offset == NULL ? -1 : readable(from, *from_offset, count);
  if (good == 0) return unreadable();
  return REAL(copy_file_range)(from, from_offset, to, to_offset, good < 0 ? count : (size_t)good, flags);
}
