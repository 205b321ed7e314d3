// The files of a snapshot, parsed: its manifest, its catalogue and its graph (docs/snapshot.md).
//
// Everything here treats bytes from outside as untrusted: a bad file is an InvalidArgument (or
// DataLoss where a checksum differs) that names the file, the line or tensor and the remedy, never
// a crash.
#ifndef GROUNDSWELL_MODELS_FILES_MANIFEST_H_
#define GROUNDSWELL_MODELS_FILES_MANIFEST_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/files/safetensors.h"

namespace groundswell {

// The file of the vectors that retrieval searches: "user" (users, d) and "item" (items, d).
inline constexpr char kEmbeddingsFile[] = "embeddings.safetensors";

// manifest.json, parsed and checked against its schema. Unknown keys are refused.
struct Manifest {
  struct File {
    std::string sha256;  // 64 hexadecimal digits, lower case
    uint64_t bytes = 0;
  };
  struct Model {
    std::string name;                            // how requests name it; unique
    std::string kind;                            // which code serves it, e.g. "surge"
    std::string file;                            // its weights, one of `files`
    std::map<std::string, std::string> options;  // e.g. attention, tau, recent_len
  };
  struct Encoder {
    std::string name;                            // unique among encoders
    EncoderSide side = EncoderSide::kUser;       // whose vectors it makes
    std::string kind;                            // which code serves it, e.g. "als"
    std::string file;                            // its weights, one of `files`
    std::map<std::string, std::string> options;  // e.g. alpha, lambda
  };

  int format_version = 0;  // 1
  std::string name;        // e.g. "online-retail"
  std::string version;     // e.g. "2011-11-11"
  int64_t create_time_us = 0;
  uint64_t users = 0;
  uint64_t items = 0;
  uint32_t embedding_dim = 0;
  uint32_t user_clusters = 0;  // P
  uint32_t item_clusters = 0;  // Q
  // Interactions folded into graph.safetensors. Live offsets of a fresh log start behind it.
  uint64_t graph_offset = 0;
  std::vector<Model> models;  // the first is the default ranker
  std::vector<Encoder> encoders;
  std::map<std::string, File> files;
  std::map<std::string, double> metrics;    // e.g. "heldout.auc"
  std::map<std::string, std::string> data;  // where it comes from: source, license, digest

  // "name@version", as the API shows it; the name alone where there is no version.
  std::string FullVersion() const;
};

inline constexpr char kManifestFile[] = "manifest.json";
inline constexpr uint64_t kManifestBytesMax = uint64_t{16} << 20;

absl::StatusOr<Manifest> ParseManifest(std::string_view json);

// The raw bytes of a snapshot's files by file name, "manifest.json" among them. Buffers are aligned
// for tensors (64 bytes) and shared, so that views into them stay valid as long as someone holds
// one.
struct SnapshotFiles {
  std::map<std::string, std::shared_ptr<const FileBytes>> files;
};

// Reads every file that the manifest lists and compares sizes (before reading) and SHA-256.
// DataLoss on a difference, NotFound on a missing file. The result has users.jsonl and items.jsonl.
absl::StatusOr<SnapshotFiles> ReadSnapshotDirectory(const std::string& directory);

// InvalidArgument where an optional file (blend.json, examples.safetensors,
// encoder_examples.safetensors) lies in the directory and the manifest does not list it: it would
// be left out, and whoever put it there believes that it counts. For who takes the directory for a
// finished snapshot: one that is still trained has them before its manifest does.
absl::Status CheckNothingUnlisted(const std::string& directory, const Manifest& manifest);

// Snapshot::digest of what the directory holds, by its manifest alone.
absl::StatusOr<std::string> DigestOfSnapshotDirectory(const std::string& directory);

// One line of items.jsonl / users.jsonl. The line number (from 0) is the index.
struct CatalogueItem {
  std::string id;
  std::string title;
  std::string category;
};

absl::StatusOr<std::vector<CatalogueItem>> ParseItems(std::string_view jsonl);
absl::StatusOr<std::vector<std::string>> ParseUsers(std::string_view jsonl);

// graph.safetensors: the micro graph A of the training period in CSR form, user by user, edges of a
// user in ascending item index. An item may have several, each a part of A[u,i], the oldest first.
struct SnapshotGraph {
  struct Edge {
    uint32_t item = 0;
    int64_t count = 0;         // above 0; those to one item add up to A[u,i]
    int64_t last_time_us = 0;  // event time of the latest interaction
    int64_t last_offset = 0;   // its offset, 1..graph_offset
  };
  std::vector<uint64_t> user_begin;  // users + 1 positions in `edges`
  std::vector<Edge> edges;
};

absl::StatusOr<SnapshotGraph> ParseGraph(const Manifest& manifest, const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_FILES_MANIFEST_H_
