/* Every fsync and fdatasync takes UNDERSTUDY_TEST_SYNC_MS longer: a disk that is slow to say that it is done. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_first(void) {
  const char *given = getenv("UNDERSTUDY_TEST_SYNC_MS");
  long ms = given == NULL ? 0 : atol(given);
  struct timespec left = {ms / 1000, (ms % 1000) * 1000000L};
  while (nanosleep(&left, &left) != 0) {
  }
}

int fsync(int file) {
  static int (*next)(int);
  if (next == NULL) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_first();
  return next(file);
}

int fdatasync(int file) {
  static int (*next)(int);
  if (next == NULL) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_first();
  return next(file);
}
