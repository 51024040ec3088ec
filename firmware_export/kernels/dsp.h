/* Instructions of the Cortex-M4, M7 and M33 that work on pairs of 16-bit values in one word, each
 * with a twin in portable C, so that the kernels that use them run, and are tested, anywhere.
 *
 * A pair has its low half in bits 0 to 15. Names are those of the Armv7-M Architecture Reference
 * Manual, chapter A7. Compilers have builtins for most; assembly is used where they have none
 * that becomes one instruction: SMMLAR, PKHBT, PKHTB, and SXTB16 with a rotation. */
#ifndef EDGECNN_DSP_H
#define EDGECNN_DSP_H

#include "edgecnn_fixedpoint.h"

#if defined(__GNUC__)
/* Inlined in a function of its own for each shape of a layer, whose constants the compiler sees. */
#define EDGECNN_SPECIALIZED static inline __attribute__((always_inline)) EDGECNN_UNUSED
#else
#define EDGECNN_SPECIALIZED static inline
#endif

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define EDGECNN_HAS_DSP 1
#else
#define EDGECNN_HAS_DSP 0
#endif

/* Makes a compiler forget what it knows of a pointer: that all calls give the same one, say, or
 * that it walks beside another, which Clang turns into an index added to each at each access. */
#if defined(__GNUC__)
#define EDGECNN_OPAQUE(pointer) __asm__("" : "+r"(pointer))
#else
#define EDGECNN_OPAQUE(pointer) ((void)0)
#endif

/* Whether the compiler knows a value, in a function that was inlined with constants. */
#if defined(__GNUC__)
#define EDGECNN_IS_KNOWN(value) __builtin_constant_p(value)
#else
#define EDGECNN_IS_KNOWN(value) 0
#endif

/* --- words in memory, at any address ---------------------------------------------------------- */

EDGECNN_SPECIALIZED uint32_t edgecnn_load(const void *from) {
#if defined(__GNUC__)
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
#else
    const uint8_t *p = (const uint8_t *)from;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
#endif
}

EDGECNN_SPECIALIZED void edgecnn_store(void *to, uint32_t word) {
#if defined(__GNUC__)
    __builtin_memcpy(to, &word, sizeof word);
#else
    uint8_t *p = (uint8_t *)to;
    p[0] = (uint8_t)word;
    p[1] = (uint8_t)(word >> 8);
    p[2] = (uint8_t)(word >> 16);
    p[3] = (uint8_t)(word >> 24);
#endif
}

/* --- order ------------------------------------------------------------------------------------ */

/* Variables have their values here. Compilers else mix loads into the arithmetic around them, where
 * each costs a cycle more than side by side, and registers that a loop does not have. */
#if defined(__GNUC__)
#define EDGECNN_SETTLE_1(a) __asm__ volatile("" : "+r"(a))
#define EDGECNN_SETTLE_2(a, b) __asm__ volatile("" : "+r"(a), "+r"(b))
#define EDGECNN_SETTLE_4(a, b, c, d) __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d))
#else
#define EDGECNN_SETTLE_1(a) ((void)0)
#define EDGECNN_SETTLE_2(a, b) ((void)0)
#define EDGECNN_SETTLE_4(a, b, c, d) ((void)0)
#endif

/* --- halves of a word ------------------------------------------------------------------------- */

EDGECNN_SPECIALIZED int32_t edgecnn_low(uint32_t pair) { return (int16_t)(pair & 0xFFFFu); }
EDGECNN_SPECIALIZED int32_t edgecnn_high(uint32_t pair) { return (int32_t)pair >> 16; }

EDGECNN_SPECIALIZED uint32_t edgecnn_pair(int32_t low, int32_t high) {
    return ((uint32_t)low & 0xFFFFu) | (uint32_t)high << 16;
}

/* a + b, keeping the low 32 bits. */
EDGECNN_SPECIALIZED int32_t edgecnn_wrapping_add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* A word of four times the same byte. */
EDGECNN_SPECIALIZED uint32_t edgecnn_four_times(int32_t value) {
    return ((uint32_t)value & 0xFFu) * 0x01010101u;
}

#if EDGECNN_HAS_DSP

/* Bytes 0 and 2, sign-extended to a pair. */
EDGECNN_SPECIALIZED uint32_t edgecnn_sxtb16(uint32_t x) {
    return (uint32_t)__builtin_arm_sxtb16((int32_t)x);
}

/* Bytes 1 and 3, sign-extended to a pair. gcc and Clang make two instructions of the builtin. */
EDGECNN_SPECIALIZED uint32_t edgecnn_sxtb16_ror8(uint32_t x) {
    uint32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
    return result;
}

/* Bottom of a, top of b moved up: b's low half becomes the high one. */
EDGECNN_SPECIALIZED uint32_t edgecnn_pkhbt_lsl16(uint32_t a, uint32_t b) {
    uint32_t result;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

/* Top of a, bottom from b's top: (b's high half, a's high half). */
EDGECNN_SPECIALIZED uint32_t edgecnn_pkhtb_asr16(uint32_t a, uint32_t b) {
    uint32_t result;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

/* sum + a.low * b.low + a.high * b.high; wraps around. */
EDGECNN_SPECIALIZED int32_t edgecnn_smlad(uint32_t a, uint32_t b, int32_t sum) {
    return __builtin_arm_smlad((int32_t)a, (int32_t)b, sum);
}

/* sum + one half of a * the other half of b. */
EDGECNN_SPECIALIZED int32_t edgecnn_smlabt(uint32_t a, uint32_t b, int32_t sum) {
    return __builtin_arm_smlatb((int32_t)b, (int32_t)a, sum); /* gcc 12 has no builtin of it */
}
EDGECNN_SPECIALIZED int32_t edgecnn_smlatb(uint32_t a, uint32_t b, int32_t sum) {
    return __builtin_arm_smlatb((int32_t)a, (int32_t)b, sum);
}

/* Sums and differences of halves; they wrap around. */
EDGECNN_SPECIALIZED uint32_t edgecnn_sadd16(uint32_t a, uint32_t b) {
    return (uint32_t)__builtin_arm_sadd16((int32_t)a, (int32_t)b);
}
EDGECNN_SPECIALIZED uint32_t edgecnn_ssub16(uint32_t a, uint32_t b) {
    return (uint32_t)__builtin_arm_ssub16((int32_t)a, (int32_t)b);
}

/* sum + the high word of a * b, rounded to nearest, halves up. */
EDGECNN_SPECIALIZED int32_t edgecnn_smmlar(int32_t a, int32_t b, int32_t sum) {
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* The larger, and the smaller, of each byte. */
EDGECNN_SPECIALIZED uint32_t edgecnn_max_bytes(uint32_t a, uint32_t b) {
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}
EDGECNN_SPECIALIZED uint32_t edgecnn_min_bytes(uint32_t a, uint32_t b) {
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}

/* sum + a * one half of b / 2^16, rounded down; wraps around. */
EDGECNN_SPECIALIZED int32_t edgecnn_smlawb(int32_t a, uint32_t b, int32_t sum) {
    return __builtin_arm_smlawb(a, (int32_t)b, sum);
}
EDGECNN_SPECIALIZED int32_t edgecnn_smlawt(int32_t a, uint32_t b, int32_t sum) {
    return __builtin_arm_smlawt(a, (int32_t)b, sum);
}

/* Saturate to int8. */
EDGECNN_SPECIALIZED int32_t edgecnn_ssat8(int32_t x) { return __builtin_arm_ssat(x, 8); }

/* Bytes 0 and 2 of x, sign-extended, added to the halves of a pair; then bytes 1 and 3. */
EDGECNN_SPECIALIZED uint32_t edgecnn_sxtab16(uint32_t pair, uint32_t x) {
    return (uint32_t)__builtin_arm_sxtab16((int32_t)pair, (int32_t)x);
}
EDGECNN_SPECIALIZED uint32_t edgecnn_sxtab16_ror8(uint32_t pair, uint32_t x) {
    uint32_t result;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(pair), "r"(x));
    return result;
}

/* The next two words at an address, and at each of two. Loads right behind each other overlap, but
 * compilers put other instructions between them. */
EDGECNN_SPECIALIZED void edgecnn_load_next(const int8_t **from, uint32_t x[2]) {
    __asm__ volatile("ldr %0, [%2], #4\n\tldr %1, [%2], #4"
                     : "=&r"(x[0]), "=&r"(x[1]), "+&r"(*from)
                     :
                     : "memory");
}
EDGECNN_SPECIALIZED void edgecnn_load_next_of_two(const int8_t **a, uint32_t x[2],
                                                  const int8_t **b, uint32_t y[2]) {
    __asm__ volatile(
        "ldr %0, [%4], #4\n\tldr %1, [%4], #4\n\tldr %2, [%5], #4\n\tldr %3, [%5], #4"
        : "=&r"(x[0]), "=&r"(x[1]), "=&r"(y[0]), "=&r"(y[1]), "+&r"(*a), "+&r"(*b)
        :
        : "memory");
}

/* SMUAD, and SMLAD, of two words with two: sums of [x][y]. They stay between the loads around
 * them; compilers move some away, and then lack registers. */
EDGECNN_SPECIALIZED void edgecnn_smuad_2x2(const uint32_t x[2], const uint32_t y[2],
                                           int32_t sums[4]) {
    __asm__ volatile("smuad %0, %4, %6\n\tsmuad %1, %4, %7\n\tsmuad %2, %5, %6\n\tsmuad %3, %5, %7"
                     : "=&r"(sums[0]), "=&r"(sums[1]), "=&r"(sums[2]), "=r"(sums[3])
                     : "r"(x[0]), "r"(x[1]), "r"(y[0]), "r"(y[1]));
}
EDGECNN_SPECIALIZED void edgecnn_smlad_2x2(const uint32_t x[2], const uint32_t y[2],
                                           int32_t sums[4]) {
    __asm__ volatile("smlad %0, %4, %6, %0\n\tsmlad %1, %4, %7, %1\n\t"
                     "smlad %2, %5, %6, %2\n\tsmlad %3, %5, %7, %3"
                     : "+&r"(sums[0]), "+&r"(sums[1]), "+&r"(sums[2]), "+&r"(sums[3])
                     : "r"(x[0]), "r"(x[1]), "r"(y[0]), "r"(y[1]));
}

#else

EDGECNN_SPECIALIZED uint32_t edgecnn_sxtb16(uint32_t x) {
    return edgecnn_pair((int8_t)(x & 0xFFu), (int8_t)((x >> 16) & 0xFFu));
}

EDGECNN_SPECIALIZED uint32_t edgecnn_sxtb16_ror8(uint32_t x) { return edgecnn_sxtb16(x >> 8); }

EDGECNN_SPECIALIZED uint32_t edgecnn_pkhbt_lsl16(uint32_t a, uint32_t b) {
    return (a & 0xFFFFu) | b << 16;
}

EDGECNN_SPECIALIZED uint32_t edgecnn_pkhtb_asr16(uint32_t a, uint32_t b) {
    return (a & 0xFFFF0000u) | b >> 16;
}

EDGECNN_SPECIALIZED int32_t edgecnn_smlad(uint32_t a, uint32_t b, int32_t sum) {
    sum = edgecnn_wrapping_add(sum, edgecnn_low(a) * edgecnn_low(b));
    return edgecnn_wrapping_add(sum, edgecnn_high(a) * edgecnn_high(b));
}

EDGECNN_SPECIALIZED int32_t edgecnn_smlabt(uint32_t a, uint32_t b, int32_t sum) {
    return edgecnn_wrapping_add(sum, edgecnn_low(a) * edgecnn_high(b));
}
EDGECNN_SPECIALIZED int32_t edgecnn_smlatb(uint32_t a, uint32_t b, int32_t sum) {
    return edgecnn_wrapping_add(sum, edgecnn_high(a) * edgecnn_low(b));
}

EDGECNN_SPECIALIZED uint32_t edgecnn_sadd16(uint32_t a, uint32_t b) {
    return ((a + b) & 0xFFFFu) | ((a & 0xFFFF0000u) + (b & 0xFFFF0000u));
}
EDGECNN_SPECIALIZED uint32_t edgecnn_ssub16(uint32_t a, uint32_t b) {
    return ((a - b) & 0xFFFFu) | ((a & 0xFFFF0000u) - (b & 0xFFFF0000u));
}

EDGECNN_SPECIALIZED int32_t edgecnn_smmlar(int32_t a, int32_t b, int32_t sum) {
    const int64_t product = (int64_t)a * b + ((int64_t)1 << 31);
    return edgecnn_wrapping_add(sum, (int32_t)(product >> 32));
}

EDGECNN_SPECIALIZED uint32_t edgecnn_max_bytes(uint32_t a, uint32_t b) {
    uint32_t result = 0;
    for (int32_t i = 0; i < 32; i += 8) {
        const uint32_t x = a >> i & 0xFFu, y = b >> i & 0xFFu;
        result |= ((int8_t)x >= (int8_t)y ? x : y) << i;
    }
    return result;
}
EDGECNN_SPECIALIZED uint32_t edgecnn_min_bytes(uint32_t a, uint32_t b) {
    return ~edgecnn_max_bytes(~a, ~b);
}

/* Settled, since Clang 22 makes wrong vectors of several of these for hosts with AVX2. */
EDGECNN_SPECIALIZED int32_t edgecnn_smlaw(int32_t a, int32_t half, int32_t sum) {
    EDGECNN_SETTLE_1(half);
    return edgecnn_wrapping_add(sum, (int32_t)((int64_t)a * half >> 16));
}
EDGECNN_SPECIALIZED int32_t edgecnn_smlawb(int32_t a, uint32_t b, int32_t sum) {
    return edgecnn_smlaw(a, edgecnn_low(b), sum);
}
EDGECNN_SPECIALIZED int32_t edgecnn_smlawt(int32_t a, uint32_t b, int32_t sum) {
    return edgecnn_smlaw(a, edgecnn_high(b), sum);
}

EDGECNN_SPECIALIZED int32_t edgecnn_ssat8(int32_t x) { return edgecnn_clamp(x, -128, 127); }

EDGECNN_SPECIALIZED uint32_t edgecnn_sxtab16(uint32_t pair, uint32_t x) {
    return edgecnn_sadd16(pair, edgecnn_sxtb16(x));
}
EDGECNN_SPECIALIZED uint32_t edgecnn_sxtab16_ror8(uint32_t pair, uint32_t x) {
    return edgecnn_sadd16(pair, edgecnn_sxtb16_ror8(x));
}

EDGECNN_SPECIALIZED void edgecnn_load_next(const int8_t **from, uint32_t x[2]) {
    x[0] = edgecnn_load(*from);
    x[1] = edgecnn_load(*from + 4);
    *from += 8;
}
EDGECNN_SPECIALIZED void edgecnn_load_next_of_two(const int8_t **a, uint32_t x[2],
                                                  const int8_t **b, uint32_t y[2]) {
    edgecnn_load_next(a, x);
    edgecnn_load_next(b, y);
}

EDGECNN_SPECIALIZED void edgecnn_smlad_2x2(const uint32_t x[2], const uint32_t y[2],
                                           int32_t sums[4]) {
    for (int32_t i = 0; i < 4; ++i) {
        sums[i] = edgecnn_smlad(x[i / 2], y[i % 2], sums[i]);
    }
}
EDGECNN_SPECIALIZED void edgecnn_smuad_2x2(const uint32_t x[2], const uint32_t y[2],
                                           int32_t sums[4]) {
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
    edgecnn_smlad_2x2(x, y, sums);
}

#endif

/* --- order --------------------------------------------------------------------------------- */

/* In loops with more values than registers, compilers load ahead and delay sums, and then move
 * values to the stack and back. These are done where they are written. */

/* A word at an address that is a multiple of 4. */
EDGECNN_SPECIALIZED uint32_t edgecnn_load_now(const void *from) {
#if defined(__GNUC__)
    typedef uint32_t __attribute__((may_alias)) word;
    return *(const volatile word *)from;
#else
    return edgecnn_load(from);
#endif
}

/* A sum that is complete before the next load. */
EDGECNN_SPECIALIZED int32_t edgecnn_sum_now(int32_t sum) {
#if defined(__GNUC__)
    __asm__ volatile("" : "+r"(sum));
#endif
    return sum;
}

/* A pointer that walks through a loop, instead of being computed from an index each time. */
EDGECNN_SPECIALIZED int8_t *edgecnn_pointer_now(int8_t *p) {
#if defined(__GNUC__)
    __asm__ volatile("" : "+r"(p));
#endif
    return p;
}

/* --- requantization in five instructions ------------------------------------------------------ */

/* What a kernel needs to know of each output channel, in a table of [channels][3]: the bias, with
 * all that the kernel's sums leave out; the multiplier, from 2^30 up to below 2^31, or 0; and the
 * right shift less one, from 0 to 22. */
enum { EDGECNN_BIAS, EDGECNN_MULTIPLIER, EDGECNN_SHIFT, EDGECNN_CHANNEL_WORDS };

/* What is added before the shift: half of its divisor, and the zero point. */
EDGECNN_SPECIALIZED int32_t edgecnn_channel_offset(int32_t shift, int32_t zero_point) {
    return edgecnn_shift_left(2 * zero_point + 1, shift);
}

/* edgecnn_requantize of a sum that has the bias in it and comes doubled; |sum| < 2^30.
 *
 * The doubling high product h is rounded by SMMLAR; the second rounding, to nearest with halves
 * away from zero, adds 2^(r-1) for a right shift of r, less one where h is negative; the zero
 * point joins as zero_point * 2^r. The sign of the sum can stand for that of h: they differ only
 * for h = 0, where taking one away changes nothing. Below zero the result is clamped where the
 * zero point is -128, so that the sign does not matter. Sums stay below 2^31, since |h| < 2^30
 * and |(2 zero_point + 1) 2^(r-1)| <= 2^30. */
EDGECNN_SPECIALIZED int8_t edgecnn_requantize_with_offset(int32_t doubled, int32_t multiplier,
                                                          int32_t shift, int32_t offset,
                                                          int32_t zero_point, int32_t low,
                                                          int32_t high) {
    int32_t h = edgecnn_smmlar(doubled, multiplier, offset);
    if (zero_point != -128) {
        h += doubled >> 31;
    }
    int32_t result = edgecnn_ssat8((h >> shift) >> 1);
    if (low > -128) {
        result = result < low ? low : result;
    }
    if (high < 127) {
        result = result > high ? high : result;
    }
    return (int8_t)result;
}

/* The same where the offset is not at hand. */
EDGECNN_SPECIALIZED int8_t edgecnn_requantize_doubled(int32_t doubled, int32_t multiplier,
                                                      int32_t shift, int32_t zero_point,
                                                      int32_t low, int32_t high) {
    return edgecnn_requantize_with_offset(doubled, multiplier, shift,
                                          edgecnn_channel_offset(shift, zero_point), zero_point,
                                          low, high);
}

/* The same of a sum as it is. */
EDGECNN_SPECIALIZED int8_t edgecnn_requantize_fast(int32_t sum, int32_t multiplier, int32_t shift,
                                                   int32_t zero_point, int32_t low, int32_t high) {
    return edgecnn_requantize_doubled(edgecnn_shift_left(sum, 1), multiplier, shift, zero_point,
                                      low, high);
}

#endif
