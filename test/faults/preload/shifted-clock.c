/*
 * The time of day is shifted by as many milliseconds as the file says that UNDERSTUDY_TEST_CLOCK_FILE names: eight bytes, a number
 * of this machine's. Clocks that only tell how long something took are left alone, as they are when somebody sets a machine's
 * clock. Waiting until a time of day is waiting until that time by the shifted clock: the kernel's own is right.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift_ms = NULL;

/* The file is mapped once, so that asking for the time costs no more than usual. */
__attribute__((constructor)) static void map_shift(void) {
  const char *path = getenv("UNDERSTUDY_TEST_CLOCK_FILE");
  if (path == NULL) return;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (page != MAP_FAILED) shift_ms = page;
}

static void add_ms(struct timespec *time, int64_t ms) {
  int64_t ns = (int64_t)time->tv_nsec + (ms % 1000) * 1000000;
  time->tv_sec += ms / 1000;
  if (ns < 0) time->tv_sec -= 1;
  if (ns >= 1000000000) time->tv_sec += 1;
  time->tv_nsec = (ns + 1000000000) % 1000000000;
}

static int64_t read_shift_ms(void) { return shift_ms == NULL ? 0 : *shift_ms; }

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*next)(clockid_t, struct timespec *);
  if (next == NULL) next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = next(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) add_ms(time, read_shift_ms());
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  struct timespec exact;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &exact) != 0) return -1;
  time->tv_sec = exact.tv_sec;
  time->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *result) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (result != NULL) *result = exact.tv_sec;
  return exact.tv_sec;
}

/* No machine of ours has been up for so many seconds: a time above is one of day. */
#define UPTIME_MAX_SECONDS 1000000000

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until) {
  typedef int (*timed_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  static timed_wait next;
  if (next == NULL) next = (timed_wait)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  if (next == NULL) next = (timed_wait)dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  struct timespec right = *until;
  if (right.tv_sec > UPTIME_MAX_SECONDS) add_ms(&right, -read_shift_ms());
  return next(condition, mutex, &right);
}
