// Checksums for which the processor has instructions that Swift cannot name.
#pragma once

#include <stddef.h>
#include <stdint.h>

// The register of the reflected Castagnoli CRC (0x82F63B78) after `length` bytes; no inversion before or after.
uint32_t cchecksum_crc32c(uint32_t value, const void *bytes, size_t length);

// The same without long vectors, for tests.
uint32_t cchecksum_crc32c_by_words(uint32_t value, const void *bytes, size_t length);

// The same without the processor's instruction, for tests.
uint32_t cchecksum_crc32c_portable(uint32_t value, const void *bytes, size_t length);
