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

__attribute__((target("sse4.2"))) static uint32_t accelerated(uint32_t value, const unsigned char *bytes,
                                                              size_t length) {
  uint64_t wide = value;
  for (; length >= 8; bytes += 8, length -= 8) wide = _mm_crc32_u64(wide, word(bytes));
  value = (uint32_t)wide;
  for (; length > 0; bytes++, length--) value = _mm_crc32_u8(value, *bytes);
  return value;
}

#elif defined(__aarch64__)

#include <arm_acle.h>
#include <sys/auxv.h>

// HWCAP_CRC32 of <asm/hwcap.h>.
static bool is_accelerated(void) { return getauxval(AT_HWCAP) & 1 << 7; }

__attribute__((target("crc"))) static uint32_t accelerated(uint32_t value, const unsigned char *bytes, size_t length) {
  for (; length >= 8; bytes += 8, length -= 8) value = __crc32cd(value, word(bytes));
  for (; length > 0; bytes++, length--) value = __crc32cb(value, *bytes);
  return value;
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
