# find_package(groundswell_client): the target groundswell::client.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(Protobuf)
find_dependency(gRPC CONFIG)
find_dependency(absl CONFIG)
find_dependency(fmt CONFIG)
include(${CMAKE_CURRENT_LIST_DIR}/groundswell_client-targets.cmake)
