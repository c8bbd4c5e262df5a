#include "CLinux.h"

#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>

// ---- getopt_long ----------------------------------------------------------------------------------------------------

static struct {
  char *text; // the text being given, not terminated
  size_t text_length, text_capacity;
  char **words;    // as given
  char **permuted; // the same pointers, in getopt's order; ends in NULL
  size_t word_count, word_capacity;
  struct option *options; // ends in zeros
  size_t option_count, option_capacity;
  char *shorts;
} scan;

// Out of memory for a command line: nothing sensible can follow.
static void *grown(void *memory, size_t *capacity, size_t needed, size_t size) {
  if (needed <= *capacity) return memory;
  size_t wanted = needed * 2 + 16;
  memory = realloc(memory, wanted * size);
  if (memory == NULL) abort();
  *capacity = wanted;
  return memory;
}

static char *take_text(void) {
  char *copy = malloc(scan.text_length + 1);
  if (copy == NULL) abort();
  if (scan.text_length > 0) memcpy(copy, scan.text, scan.text_length);
  copy[scan.text_length] = 0;
  scan.text_length = 0;
  return copy;
}

void clinux_getopt_reset(void) {
  for (size_t i = 0; i < scan.word_count; i++) free(scan.words[i]);
  for (size_t i = 0; i < scan.option_count; i++) free((char *)scan.options[i].name);
  free(scan.permuted);
  free(scan.shorts);
  scan.permuted = NULL;
  scan.shorts = NULL;
  scan.text_length = scan.word_count = scan.option_count = 0;
}

void clinux_getopt_text(uint8_t byte) {
  scan.text = grown(scan.text, &scan.text_capacity, scan.text_length + 1, 1);
  scan.text[scan.text_length++] = (char)byte;
}

void clinux_getopt_word(void) {
  scan.words = grown(scan.words, &scan.word_capacity, scan.word_count + 1, sizeof *scan.words);
  scan.words[scan.word_count++] = take_text();
}

void clinux_getopt_long_option(int argument, int value) {
  scan.options = grown(scan.options, &scan.option_capacity, scan.option_count + 2, sizeof *scan.options);
  scan.options[scan.option_count++] = (struct option){.name = take_text(), .has_arg = argument, .val = value};
}

void clinux_getopt_short_options(void) {
  free(scan.shorts);
  scan.shorts = take_text();
}

void clinux_getopt_begin(int print_errors) {
  free(scan.permuted);
  scan.permuted = malloc((scan.word_count + 1) * sizeof *scan.permuted);
  if (scan.permuted == NULL) abort();
  for (size_t i = 0; i < scan.word_count; i++) scan.permuted[i] = scan.words[i];
  scan.permuted[scan.word_count] = NULL;
  scan.options = grown(scan.options, &scan.option_capacity, scan.option_count + 1, sizeof *scan.options);
  memset(&scan.options[scan.option_count], 0, sizeof *scan.options);
  if (scan.shorts == NULL) clinux_getopt_short_options();
  optind = 0; // glibc: start afresh, look at POSIXLY_CORRECT again
  opterr = print_errors;
}

int clinux_getopt_next(void) {
  optarg = NULL;
  optopt = 0;
  // A tool without long options takes getopt's word for it that `--help` is a bad short option '-'.
  if (scan.option_count == 0) return getopt((int)scan.word_count, scan.permuted, scan.shorts);
  return getopt_long((int)scan.word_count, scan.permuted, scan.shorts, scan.options, NULL);
}

// The given word that `pointer` points into (its end included), or -1.
static int word_of(const char *pointer) {
  if (pointer == NULL) return -1;
  for (size_t i = 0; i < scan.word_count; i++) {
    if (pointer >= scan.words[i] && pointer <= scan.words[i] + strlen(scan.words[i])) return (int)i;
  }
  return -1;
}

int clinux_getopt_argument_word(void) { return word_of(optarg); }
int clinux_getopt_argument_offset(void) {
  int word = word_of(optarg);
  return word < 0 ? 0 : (int)(optarg - scan.words[word]);
}
int clinux_getopt_failed_option(void) { return optopt; }
int clinux_getopt_position(void) { return optind; }
int clinux_getopt_word_at(int position) {
  if (position < 0 || (size_t)position >= scan.word_count) return -1;
  return word_of(scan.permuted[position]);
}

// ---- time -----------------------------------------------------------------------------------------------------------

struct clinux_time clinux_local_time(int64_t seconds_since_1970) {
  time_t seconds = (time_t)seconds_since_1970;
  struct tm fields;
  if (localtime_r(&seconds, &fields) == NULL) return (struct clinux_time){.valid = 0};
  return (struct clinux_time){
      .valid = 1,
      .year = (int64_t)fields.tm_year + 1900,
      .month = fields.tm_mon + 1,
      .day = fields.tm_mday,
      .hour = fields.tm_hour,
      .minute = fields.tm_min,
      .second = fields.tm_sec};
}

int64_t clinux_microseconds_since_1970(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return 0;
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// ---- signals --------------------------------------------------------------------------------------------------------

// A lock-free int store is all that the handler does, which is allowed in one.
static volatile sig_atomic_t progress_requested;

static void note_progress_request(int signal) {
  (void)signal;
  progress_requested = 1;
}

void clinux_watch_progress_requests(void) {
  struct sigaction action = {.sa_handler = note_progress_request, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, NULL);
}

int clinux_progress_requested(void) {
  int requested = progress_requested;
  if (requested) progress_requested = 0;
  return requested;
}

void clinux_ignore_signal(int number) { signal(number, SIG_IGN); }

void clinux_end_without_memory(void) {
  dprintf(STDERR_FILENO, "%s: %s\n", program_invocation_short_name, strerror(ENOMEM));
  _exit(1);
}

void clinux_occupy_standard_descriptors(void) {
  for (int fd = 0; fd <= 2; fd++) {
    // open takes the lowest number that is free: this one.
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/", O_PATH) < 0) return;
  }
}

static volatile sig_atomic_t interrupted;

static void note_interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

void clinux_watch_interrupts(void) {
  struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = SA_RESTART | SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
}

int clinux_interrupted(void) {
  int result = interrupted;
  if (result) interrupted = 0;
  return result;
}

void clinux_die_of_interrupt(void) {
  signal(SIGINT, SIG_DFL);
  kill(getpid(), SIGINT);
}

// ---- files ----------------------------------------------------------------------------------------------------------

int clinux_file_numbers(int fd, const char *path, struct clinux_file_numbers *numbers) {
  struct stat status;
  if ((path != NULL ? stat(path, &status) : fstat(fd, &status)) != 0) return errno;
  *numbers = (struct clinux_file_numbers){.device = status.st_dev, .inode = status.st_ino, .own_device = status.st_rdev};
  return 0;
}

int clinux_terminal_is_raw(int fd) {
  struct termios settings;
  return tcgetattr(fd, &settings) == 0 && (settings.c_oflag & (OPOST | ONLCR)) != (OPOST | ONLCR);
}

// ---- memory -----------------------------------------------------------------------------------------------------------

int clinux_page_filler(void *mapping, size_t count) {
  // Under a filter of system calls, one that is rare may be the last.
  if (prctl(PR_GET_SECCOMP) != 0) return -1;
  int filler = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  if (filler < 0) return -1;
  struct uffdio_api api = {.api = UFFD_API};
  struct uffdio_register place = {.range = {.start = (uintptr_t)mapping, .len = count},
                                  .mode = UFFDIO_REGISTER_MODE_MISSING};
  if (ioctl(filler, UFFDIO_API, &api) == 0 && ioctl(filler, UFFDIO_REGISTER, &place) == 0 &&
      (place.ioctls & 1ULL << _UFFDIO_COPY) != 0)
    return filler;
  close(filler);
  return -1;
}

size_t clinux_fill_pages(int filler, void *pages, const void *source, size_t count) {
  size_t done = 0;
  while (done < count) {
    struct uffdio_copy copy = {.dst = (uintptr_t)pages + done, .src = (uintptr_t)source + done, .len = count - done,
                               .mode = UFFDIO_COPY_MODE_DONTWAKE};
    // A failure behind the first page is told as a shorter copy, and again by the next call.
    if (ioctl(filler, UFFDIO_COPY, &copy) != 0 && copy.copy <= 0) break;
    done += (size_t)copy.copy;
  }
  return done;
}
