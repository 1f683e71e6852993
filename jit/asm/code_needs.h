/*
 * jit/asm/code_needs.h - what GPU code asks of a driver, as far as the code says.
 */
#ifndef JC_CODE_NEEDS_H
#define JC_CODE_NEEDS_H

#include <stddef.h>
#include <stdint.h>

/* CUDA versions as cuDriverGetVersion() counts: 12010 is 12.1. 0: not known. Bytes may be hostile. */
uint32_t jc_ptx_cuda(const uint8_t *text, size_t n);      /* the first whose drivers assemble it */
uint32_t jc_cubin_toolkit(const uint8_t *bytes, size_t n); /* of the assembler that made it */
/* The first whose drivers load what TOOLKIT made: those of its major version, since CUDA 11. */
uint32_t jc_toolkit_driver(uint32_t toolkit);

#endif
