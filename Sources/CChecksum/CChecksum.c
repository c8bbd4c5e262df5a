#include "CChecksum.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static uint64_t word(const unsigned char *bytes) {
  uint64_t value;
  memcpy(&value, bytes, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  value = __builtin_bswap64(value);
#endif
  return value;
}

// ---- Portable: eight bytes a step ----------------------------------------------------------------------------------

static uint32_t table[8][256];

static void make_table(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ 0x82F63B78 : value >> 1;
    table[0][i] = value;
  }
  for (int slice = 1; slice < 8; slice++)
    for (int i = 0; i < 256; i++) table[slice][i] = table[slice - 1][i] >> 8 ^ table[0][table[slice - 1][i] & 0xFF];
}

uint32_t cchecksum_crc32c_portable(uint32_t value, const void *start, size_t length) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_table);
  const unsigned char *bytes = start;
  for (; length >= 8; bytes += 8, length -= 8) {
    uint64_t next = word(bytes) ^ value;
    value = 0;
    for (int i = 0; i < 8; i++) value ^= table[7 - i][next >> 8 * i & 0xFF];
  }
  for (; length > 0; bytes++, length--) value = value >> 8 ^ table[0][(value ^ *bytes) & 0xFF];
  return value;
}

// ---- With the processor's instruction ------------------------------------------------------------------------------

#if defined(__x86_64__)

#include <nmmintrin.h>

static bool is_accelerated(void) { return __builtin_cpu_supports("sse4.2"); }

#define ACCELERATED __attribute__((target("sse4.2")))
#define STEP8(value, next) _mm_crc32_u64(value, next)
#define STEP1(value, next) _mm_crc32_u8(value, next)

#elif defined(__aarch64__)

#include <arm_acle.h>
#include <sys/auxv.h>

// HWCAP_CRC32 of <asm/hwcap.h>.
static bool is_accelerated(void) { return getauxval(AT_HWCAP) & 1 << 7; }

#define ACCELERATED __attribute__((target("crc")))
#define STEP8(value, next) __crc32cd((uint32_t)(value), next)
#define STEP1(value, next) __crc32cb(value, next)

#endif

#ifdef ACCELERATED

// The instruction takes three cycles, but the next one can begin after one: three lanes are computed side by side. A
// lane's register goes through the bytes of the lanes behind it as through zeros, which is linear: four look-ups.
enum { LANE = 512 };

static uint32_t across_lane[4][256];

ACCELERATED static uint32_t one_by_one(uint32_t value, const unsigned char *bytes, size_t length) {
  uint64_t wide = value;
  for (; length >= 8; bytes += 8, length -= 8) wide = STEP8(wide, word(bytes));
  value = (uint32_t)wide;
  for (; length > 0; bytes++, length--) value = STEP1(value, *bytes);
  return value;
}

static void make_lane_table(void) {
  static const unsigned char zeros[LANE];
  for (int place = 0; place < 4; place++)
    for (uint32_t byte = 0; byte < 256; byte++) across_lane[place][byte] = one_by_one(byte << 8 * place, zeros, LANE);
}

static uint32_t cross_lane(uint32_t value) {
  return across_lane[0][value & 0xFF] ^ across_lane[1][value >> 8 & 0xFF] ^ across_lane[2][value >> 16 & 0xFF] ^
         across_lane[3][value >> 24];
}

ACCELERATED static uint32_t accelerated(uint32_t value, const unsigned char *bytes, size_t length) {
  if (length >= 3 * LANE) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_lane_table);
    for (; length >= 3 * LANE; bytes += 3 * LANE, length -= 3 * LANE) {
      uint64_t first = value, second = 0, third = 0;
      for (int i = 0; i < LANE; i += 8) {
        first = STEP8(first, word(bytes + i));
        second = STEP8(second, word(bytes + LANE + i));
        third = STEP8(third, word(bytes + 2 * LANE + i));
      }
      value = cross_lane(cross_lane((uint32_t)first) ^ (uint32_t)second) ^ (uint32_t)third;
    }
  }
  return one_by_one(value, bytes, length);
}

#else

static bool is_accelerated(void) { return false; }

static uint32_t accelerated(uint32_t value, const unsigned char *bytes, size_t length) {
  return cchecksum_crc32c_portable(value, bytes, length);
}

#endif

uint32_t cchecksum_crc32c(uint32_t value, const void *bytes, size_t length) {
  return is_accelerated() ? accelerated(value, bytes, length) : cchecksum_crc32c_portable(value, bytes, length);
}
