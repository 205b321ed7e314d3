# Debian 12's packages, each found the way its package supports.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(fmt CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(OpenMP REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(RocksDB CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(tomlplusplus CONFIG REQUIRED)
if(BUILD_TESTING)
  find_package(GTest CONFIG REQUIRED)
endif()

# oneDNN's own CMake package is broken in Debian 12 (it names files that are not shipped).
# (OpenMP for its number of threads alone: to be linked, with no directive compiled.)
add_library(groundswell_onednn INTERFACE)
target_link_libraries(groundswell_onednn INTERFACE dnnl $<LINK_ONLY:OpenMP::OpenMP_CXX>)

# Debian's package has no CMake package of its own.
find_path(RDKAFKA_INCLUDE_DIR librdkafka/rdkafka.h REQUIRED)
find_library(RDKAFKA_LIBRARY rdkafka REQUIRED)
add_library(groundswell_rdkafka INTERFACE)
target_include_directories(groundswell_rdkafka SYSTEM INTERFACE ${RDKAFKA_INCLUDE_DIR})
target_link_libraries(groundswell_rdkafka INTERFACE ${RDKAFKA_LIBRARY})

# The server's allocator. glibc's keeps in the arena of every thread what a replaced snapshot leaves there.
find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)

# Debian's libfaiss has SSE only; scripts/build-faiss builds the same version with AVX2.
set(GROUNDSWELL_FAISS_DIR "" CACHE PATH
    "Prefix of the FAISS to link instead of Debian's, e.g. build/faiss (see scripts/build-faiss)")
add_library(groundswell_faiss INTERFACE)
if(GROUNDSWELL_FAISS_DIR)
  get_filename_component(faiss_prefix ${GROUNDSWELL_FAISS_DIR} ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
  if(NOT EXISTS ${faiss_prefix}/lib/libfaiss.a)
    message(FATAL_ERROR "GROUNDSWELL_FAISS_DIR: ${faiss_prefix} holds no lib/libfaiss.a; "
                        "scripts/build-faiss makes one in build/faiss")
  endif()
  target_include_directories(groundswell_faiss SYSTEM INTERFACE ${faiss_prefix}/include)
  set(faiss_library ${faiss_prefix}/lib/libfaiss.a)
else()
  set(faiss_library faiss)
endif()
# FAISS is a static library here and there: its BLAS and LAPACK have to be named.
target_link_libraries(groundswell_faiss INTERFACE ${faiss_library} openblas $<LINK_ONLY:OpenMP::OpenMP_CXX>)


# Directory that holds google/rpc/error_details.proto (Debian: golang-github-gogo-googleapis-dev).
find_path(GOOGLEAPIS_PROTO_DIR google/rpc/error_details.proto
          PATHS /usr/share/gocode/src/github.com/gogo/googleapis REQUIRED)
