// DescriptorLimit: how many files and connections this process may have open.
#ifndef GROUNDSWELL_SERVER_PROCESS_DESCRIPTOR_LIMIT_H_
#define GROUNDSWELL_SERVER_PROCESS_DESCRIPTOR_LIMIT_H_

namespace groundswell {

// Raises the soft limit to the hard one, as far as that goes, and returns it.
int RaiseDescriptorLimit();

// Connections get descriptors below this: what is above is kept for the database, which must not
// fail because many clients came. `limit` as RaiseDescriptorLimit returns it.
int ConnectionDescriptorsEnd(int limit);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_DESCRIPTOR_LIMIT_H_
