// Compiles a function once per instruction set; the machine's best one is taken when the program
// starts, as oneDNN does with its kernels.
#ifndef GROUNDSWELL_MODELS_MATH_INSTRUCTION_SETS_H_
#define GROUNDSWELL_MODELS_MATH_INSTRUCTION_SETS_H_

// Not under the thread sanitizer: the choice is made before it is ready, and crashes in it.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define GROUNDSWELL_PER_INSTRUCTION_SET \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define GROUNDSWELL_PER_INSTRUCTION_SET
#endif

// Before a loop whose outputs may be its inputs, element by element, but overlap in no other way:
// no element waits for another.
#if defined(__clang__)
#define GROUNDSWELL_INDEPENDENT_ELEMENTS _Pragma("clang loop vectorize(assume_safety)")
#else
#define GROUNDSWELL_INDEPENDENT_ELEMENTS _Pragma("GCC ivdep")
#endif

#endif  // GROUNDSWELL_MODELS_MATH_INSTRUCTION_SETS_H_
