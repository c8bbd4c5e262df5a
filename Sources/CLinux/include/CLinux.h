// What Swift's Glibc module does not import: getopt_long, the Linux ioctls and flags for files and
// block devices, and inline wrappers for variadic calls. Nothing here has logic of its own.
#ifndef CLINUX_H
#define CLINUX_H

#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <linux/falloc.h>
#include <linux/fs.h>

static inline int clinux_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }

/// One open-file-description lock operation on `length` bytes at `start`; `command` is F_OFD_SETLK or F_OFD_GETLK.
/// Returns 0 or an errno; for GETLK `*type` holds the type found.
static inline int clinux_ofd_lock(int fd, int command, short *type, off_t start, off_t length) {
  struct flock lock = {.l_type = *type, .l_whence = SEEK_SET, .l_start = start, .l_len = length, .l_pid = 0};
  if (fcntl(fd, command, &lock) != 0) return errno;
  *type = lock.l_type;
  return 0;
}

/// A POSIX lock on the whole file, without waiting, for reading or (`exclusive`) writing. Returns 0 or an errno.
static inline int clinux_posix_lock(int fd, int exclusive) {
  struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
  return fcntl(fd, F_SETLK, &lock) == 0 ? 0 : errno;
}

/// The file system that holds an open file, or `path` if that is not NULL. Returns 0 or an errno.
struct clinux_file_system {
  uint64_t type;
  uint64_t available_bytes;
  uint64_t free_bytes;
};
static inline int clinux_file_system(int fd, const char *path, struct clinux_file_system *facts) {
  struct statfs status;
  if ((path != NULL ? statfs(path, &status) : fstatfs(fd, &status)) != 0) return errno;
  facts->type = (uint64_t)status.f_type;
  facts->available_bytes = (uint64_t)status.f_bavail * (uint64_t)status.f_frsize;
  facts->free_bytes = (uint64_t)status.f_bfree * (uint64_t)status.f_frsize;
  return 0;
}

static inline int clinux_f_ofd_setlk(void) { return F_OFD_SETLK; }
static inline int clinux_f_ofd_getlk(void) { return F_OFD_GETLK; }
// Copies the payload of a key of the key ring; the number of its bytes, or -1 with errno set.
static inline long clinux_read_key(int32_t serial, void *buffer, size_t size) {
  // KEYCTL_READ of <linux/keyctl.h>.
  return syscall(SYS_keyctl, 11, serial, buffer, size);
}

// Lets descriptor `fd` stand for what `replacement` stands for.
static inline int clinux_replace(int replacement, int fd) { return dup3(replacement, fd, O_CLOEXEC); }

/// Opens what fills missing pages of `count` bytes at `mapping`, of a file in memory (userfaultfd). Such pages must not be
/// touched otherwise. Returns a descriptor, or -1.
int clinux_page_filler(void *mapping, size_t count);
/// Has the kernel copy `count` bytes, whole pages, to `pages`, none of which the file may have. A page that cannot be had is
/// no signal: returns the number of bytes that were copied before it.
size_t clinux_fill_pages(int filler, void *pages, const void *source, size_t count);

static inline int clinux_o_direct(void) { return O_DIRECT; }
static inline int clinux_o_tmpfile(void) { return O_TMPFILE; }

/// Size in bytes of a block device; -1 with errno when it is none.
static inline int64_t clinux_block_device_size(int fd) {
  uint64_t size = 0;
  return ioctl(fd, BLKGETSIZE64, &size) == 0 ? (int64_t)size : -1;
}
/// Logical block size of a block device in bytes, or -1.
static inline int clinux_logical_block_size(int fd) {
  int size = 0;
  return ioctl(fd, BLKSSZGET, &size) == 0 ? size : -1;
}
/// Whether a block device is set to read-only.
static inline int clinux_block_is_read_only(int fd) {
  int flag = 0;
  return ioctl(fd, BLKROGET, &flag) == 0 && flag != 0;
}
static inline int clinux_block_zero(int fd, uint64_t offset, uint64_t length) {
  uint64_t range[2] = {offset, length};
  return ioctl(fd, BLKZEROOUT, range);
}
static inline int clinux_block_discard(int fd, uint64_t offset, uint64_t length) {
  uint64_t range[2] = {offset, length};
  return ioctl(fd, BLKDISCARD, range);
}
/// Shares `length` bytes of `source` with `target` (FICLONERANGE).
static inline int clinux_clone_range(int target, uint64_t target_offset, int source, uint64_t source_offset,
                                     uint64_t length) {
  struct file_clone_range range = {
      .src_fd = source, .src_offset = source_offset, .src_length = length, .dest_offset = target_offset};
  return ioctl(target, FICLONERANGE, &range);
}
/// Sets the inode flag FS_NOCOW_FL; best effort.
static inline int clinux_set_nocow(int fd) {
  int attributes = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &attributes) != 0) return -1;
  attributes |= FS_NOCOW_FL;
  return ioctl(fd, FS_IOC_SETFLAGS, &attributes);
}
/// Sets the extent size hint in bytes (FS_IOC_FSSETXATTR); -1 with errno set where the file system has none.
static inline int clinux_set_extent_size_hint(int fd, uint32_t bytes) {
  struct fsxattr attributes;
  if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) != 0) return -1;
  attributes.fsx_xflags |= FS_XFLAG_EXTSIZE;
  attributes.fsx_extsize = bytes;
  return ioctl(fd, FS_IOC_FSSETXATTR, &attributes);
}

// getopt_long without pointers in its interface, so that its caller needs no unsafe code. One scan at a time: getopt
// itself keeps global state. Words and names go in byte by byte, answers come out as numbers.

/// Forgets words and options.
void clinux_getopt_reset(void);
/// Appends one byte to the text being given.
void clinux_getopt_text(uint8_t byte);
/// The text given so far is the next word of the command line (the first is the program's name).
void clinux_getopt_word(void);
/// The text given so far is the name of a long option; `argument` is 0 none, 1 required, 2 optional; `value` (> 255)
/// is what a scan answers when it is met.
void clinux_getopt_long_option(int argument, int value);
/// The text given so far is the string of short options, with its leading `+` and `:`.
void clinux_getopt_short_options(void);
/// Begins a scan; `print_errors` lets getopt print its own lines on stderr.
void clinux_getopt_begin(int print_errors);
/// getopt_long's answer: an option's value, '?', ':' or -1 at the end.
int clinux_getopt_next(void);
/// After an option: the number of the word that holds its argument, or -1 when it has none.
int clinux_getopt_argument_word(void);
/// Where in that word the argument starts.
int clinux_getopt_argument_offset(void);
/// After '?' or ':': optopt, the option concerned.
int clinux_getopt_failed_option(void);
/// The position in the permuted list of words at which the scan goes on (optind).
int clinux_getopt_position(void);
/// The number that the word at `position` of the permuted list had when it was given, or -1 at the end.
int clinux_getopt_word_at(int position);

/// A moment in local time (TZ), fields as people write them: month 1...12, year in full.
struct clinux_time {
  int valid;
  int64_t year;
  int month, day, hour, minute, second;
};
struct clinux_time clinux_local_time(int64_t seconds_since_1970);
/// Microseconds since 1970.
int64_t clinux_microseconds_since_1970(void);

/// Counts SIGUSR1 from now on instead of dying of it; `clinux_progress_requested` answers whether one came since it was
/// last asked.
void clinux_watch_progress_requests(void);
int clinux_progress_requested(void);
/// Remembers the first SIGINT instead of dying of it; a second one ends the process.
void clinux_watch_interrupts(void);
/// Whether one came since this was last asked.
int clinux_interrupted(void);
/// Ends the process as SIGINT does.
void clinux_die_of_interrupt(void);
/// Whether `fd` is a terminal on which a newline does not go back to the first column.
int clinux_terminal_is_raw(int fd);
/// Ignores a signal.
void clinux_ignore_signal(int signal);
/// Says, behind the program's name, that there is no memory left, and ends the process with status 1.
_Noreturn void clinux_end_without_memory(void);
/// Occupies those of the descriptors 0, 1 and 2 that are closed with one that can neither be read nor written (EBADF).
void clinux_occupy_standard_descriptors(void);

/// The numbers of a file: of the device that holds it, of its inode, and of the device that it is; `path` NULL is `fd`.
struct clinux_file_numbers {
  uint64_t device, inode, own_device;
};
int clinux_file_numbers(int fd, const char *path, struct clinux_file_numbers *numbers);

#endif
