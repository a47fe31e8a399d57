# find_package(actormimic) gives the target actormimic::core: the Atari pool and the replay ring.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(ZLIB)
include("${CMAKE_CURRENT_LIST_DIR}/actormimic-targets.cmake")
