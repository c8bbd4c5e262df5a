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

#include <immintrin.h>

// What the compiler offers asks the processor when a program starts, which takes some tenths of a millisecond in a
// virtual machine; the C library has asked already.
#if __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h>
static bool is_accelerated(void) { return CPU_FEATURE_ACTIVE(SSE4_2); }
static bool can_fold(void) { return CPU_FEATURE_ACTIVE(AVX512F) && CPU_FEATURE_ACTIVE(VPCLMULQDQ); }
#else
static bool is_accelerated(void) { return __builtin_cpu_supports("sse4.2"); }
static bool can_fold(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq"); }
#endif

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

// ---- With the processor's multiplication of polynomials, 64 bytes a step -------------------------------------------

#if defined(__x86_64__)

#define FOLDING __attribute__((target("sse4.2,avx512f,vpclmulqdq")))

// Shorter pieces are done with the instruction before this has begun.
enum { STRIDE = 256, SHORTEST = 1024 };

// What takes the two halves of 16 bytes a stride, or 64 bytes, further: x^(distance + 63) and x^(distance - 1) for a
// distance in bits, modulo the CRC's polynomial, the highest power in the lowest bit. (A product of two such halves is one
// bit short, hence the odd powers.)
static uint64_t by_stride[2], by_vector[2];

static uint64_t power(int exponent) {
  uint32_t value = 1u << 31;
  while (exponent-- > 0) value = value & 1 ? value >> 1 ^ 0x82F63B78 : value >> 1;
  return (uint64_t)value << 32;
}

static void make_powers(void) {
  by_stride[0] = power(STRIDE * 8 + 63), by_stride[1] = power(STRIDE * 8 - 1);
  by_vector[0] = power(64 * 8 + 63), by_vector[1] = power(64 * 8 - 1);
}

FOLDING static inline __m512i fold(__m512i value, __m512i powers, __m512i next) {
  __m512i low = _mm512_clmulepi64_epi128(value, powers, 0x00), high = _mm512_clmulepi64_epi128(value, powers, 0x11);
  return _mm512_ternarylogic_epi64(low, high, next, 0x96 /* exclusive or of all three */);
}

FOLDING static inline __m512i both(const uint64_t *powers) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)powers));
}

// The remainder of a polynomial does not change when a part of it is replaced by something with the same remainder.
FOLDING static uint32_t folded(uint32_t value, const unsigned char *bytes, size_t length) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_powers);
  __m512i vectors[4], powers = both(by_stride);
  for (int i = 0; i < 4; i++) vectors[i] = _mm512_loadu_si512(bytes + 64 * i);
  vectors[0] = _mm512_xor_si512(vectors[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)value)));
  for (bytes += STRIDE, length -= STRIDE; length >= STRIDE; bytes += STRIDE, length -= STRIDE)
    for (int i = 0; i < 4; i++) vectors[i] = fold(vectors[i], powers, _mm512_loadu_si512(bytes + 64 * i));
  powers = both(by_vector);
  for (int i = 1; i < 4; i++) vectors[i] = fold(vectors[i - 1], powers, vectors[i]);
  unsigned char left[64];
  _mm512_storeu_si512(left, vectors[3]);
  return one_by_one(one_by_one(0, left, sizeof left), bytes, length);
}

#else

enum { SHORTEST = 0 };

static bool can_fold(void) { return false; }

static uint32_t folded(uint32_t value, const unsigned char *bytes, size_t length) {
  return accelerated(value, bytes, length);
}

#endif

uint32_t cchecksum_crc32c_by_words(uint32_t value, const void *bytes, size_t length) {
  return is_accelerated() ? accelerated(value, bytes, length) : cchecksum_crc32c_portable(value, bytes, length);
}

uint32_t cchecksum_crc32c(uint32_t value, const void *bytes, size_t length) {
  return length >= SHORTEST && can_fold() ? folded(value, bytes, length)
                                          : cchecksum_crc32c_by_words(value, bytes, length);
}
