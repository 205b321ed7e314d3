/* What whoever tests and the library of faulty_disk.c share in memory. */
#ifndef GROUNDSWELL_TESTS_INTEGRATION_FAULTY_DISK_CONTROL_H_
#define GROUNDSWELL_TESTS_INTEGRATION_FAULTY_DISK_CONTROL_H_

#include <stdint.h>

/* What is asked of a disk. */
enum { kFaultyWrite, kFaultySync, kFaultyOpen, kFaultyRename, kFaultySyncDirectory, kFaultyCalls };

struct FaultyDiskControl {
  int32_t failing; /* the kind that fails, counted from 1; 0: none */
  int32_t error;   /* with this errno */
  int64_t passing; /* so many of it pass before */
  int64_t left;    /* and so many then fail */
  int32_t hanging; /* the kind that does not come back, counted from 1; 0: none */
  int32_t hung;    /* 1 once one did not */
  int64_t failed;
  int64_t calls[kFaultyCalls];
};

#endif /* GROUNDSWELL_TESTS_INTEGRATION_FAULTY_DISK_CONTROL_H_ */
