// A processor that looks like an Intel N100 to the programs that ask: AVX2 and AVX-VNNI, but neither AVX-512 nor AMX.
//
//     gcc -O2 -shared -fPIC -o like_n100.so tools/x86/like_n100.c
//     LD_PRELOAD=$PWD/like_n100.so python benchmarks/peers.py ...
//
// Linux lets a process have CPUID raise SIGSEGV (arch_prctl(2), ARCH_CPUID), where the processor can; the handler answers
// instead, without the bits of what an N100 lacks. Kernels are then chosen as there; clock, caches and memory are not.
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ARCH_SET_CPUID = 0x1012, FEATURES = 7 };

// Leaf 7, subleaf 0: AVX-512 F DQ IFMA PF ER CD BW VL; VBMI VBMI2 VNNI BITALG VPOPCNTDQ; 4VNNIW 4FMAPS VP2INTERSECT,
// AMX-BF16, AVX512-FP16, AMX-TILE, AMX-INT8. Subleaf 1: AVX512-BF16, AMX-FP16; AMX-COMPLEX, AVX10.
static const uint32_t LACKING_B = 1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
static const uint32_t LACKING_C = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14;
static const uint32_t LACKING_D = 1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25;
static const uint32_t LACKING_1A = 1u << 5 | 1u << 21;
static const uint32_t LACKING_1D = 1u << 8 | 1u << 19;

static struct sigaction before;

// Written out: a C library's own call might save the registers by instructions that it asks for by CPUID.
static long allow_cpuid(long allowed) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(SYS_arch_prctl), "D"(ARCH_SET_CPUID), "S"(allowed)
                   : "rcx", "r11", "memory");
  return result;
}

static void answer(int number, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *code = (const uint8_t *)registers[REG_RIP];
  // what the kernel raises for CPUID names no address; any other fault happens again, for whom it was meant
  if (info->si_code != SI_KERNEL || code[0] != 0x0f || code[1] != 0xa2) {
    sigaction(number, &before, NULL);
    return;
  }
  uint32_t leaf = registers[REG_RAX], subleaf = registers[REG_RCX], a, b, c, d;
  allow_cpuid(1);
  __cpuid_count(leaf, subleaf, a, b, c, d);
  allow_cpuid(0);
  if (leaf == FEATURES && subleaf == 0) {
    b &= ~LACKING_B;
    c &= ~LACKING_C;
    d &= ~LACKING_D;
  } else if (leaf == FEATURES && subleaf == 1) {
    a &= ~LACKING_1A;
    d &= ~LACKING_1D;
  }
  registers[REG_RAX] = a, registers[REG_RBX] = b, registers[REG_RCX] = c, registers[REG_RDX] = d;
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void start(void) {
  static const char message[] = "like_n100: this processor or kernel does not let a program answer CPUID itself\n";
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
  sigaction(SIGSEGV, &action, &before);
  if (allow_cpuid(0) != 0) {
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0) _exit(4);
    _exit(3);
  }
}
