// Makes the n-th write-like system call of a program fail, or write less than asked.
//
//   FAULT_AT=n      the n-th counted call, from 1 (nothing happens without it)
//   FAULT_ERRNO=e   fails with this error number; without it the call writes half of what was asked (a short write)
//   FAULT_LOG=path  when the fault has happened, this file is made
//   FAULT_COUNT=path  the number of counted calls is written here when the program ends
//
// Counted are pwrite, fdatasync, fsync and ftruncate, on regular files only.
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static int is_file(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

// Whether this call is the one.
static int strikes(int fd) {
  if (!is_file(fd)) return 0;
  long number = atomic_fetch_add(&calls, 1) + 1;
  const char *at = getenv("FAULT_AT");
  if (at == NULL || number != atol(at)) return 0;
  const char *log = getenv("FAULT_LOG");
  if (log != NULL) close(open(log, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  return 1;
}

__attribute__((destructor)) static void report(void) {
  const char *path = getenv("FAULT_COUNT");
  FILE *file = path == NULL ? NULL : fopen(path, "we");
  if (file == NULL) return;
  fprintf(file, "%ld", atomic_load(&calls));
  fclose(file);
}

static int fault_errno(void) {
  const char *text = getenv("FAULT_ERRNO");
  return text == NULL ? 0 : atoi(text);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset) {
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
  if (!strikes(fd) || fault_errno() == 0) return 0;
  errno = fault_errno();
  return 1;
}

int fdatasync(int fd) { return fails(fd) ? -1 : REAL(fdatasync)(fd); }
int fsync(int fd) { return fails(fd) ? -1 : REAL(fsync)(fd); }
int ftruncate(int fd, off_t length) { return fails(fd) ? -1 : REAL(ftruncate)(fd, length); }
int ftruncate64(int fd, off64_t length) { return fails(fd) ? -1 : REAL(ftruncate64)(fd, length); }
