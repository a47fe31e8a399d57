# The C++ package: headers, one static library and find_package(actormimic), all inside the Python
# package's folder, where `python -m actormimic --cmake-dir` finds them.
#
# One archive holds the pool, the ring and ALE, so that nobody has to link eight in the right order.
# It comes from object files without link-time optimization, which any compiler's linker reads.
add_library(actormimic_core STATIC
  $<TARGET_OBJECTS:actormimic_frame> $<TARGET_OBJECTS:actormimic_replay>
  $<TARGET_OBJECTS:actormimic_emulator> $<TARGET_OBJECTS:actormimic_pool>
  $<TARGET_OBJECTS:ale> $<TARGET_OBJECTS:ale-lib>)
set_target_properties(actormimic_core PROPERTIES LINKER_LANGUAGE CXX EXPORT_NAME core)
target_compile_features(actormimic_core INTERFACE cxx_std_17)
find_package(ZLIB REQUIRED)
target_link_libraries(actormimic_core PUBLIC Threads::Threads ZLIB::ZLIB rt)
target_include_directories(actormimic_core INTERFACE $<INSTALL_INTERFACE:actormimic/include>)

set(package_folder actormimic/share/cmake/actormimic)
install(TARGETS actormimic_core EXPORT actormimic-targets
  ARCHIVE DESTINATION actormimic/lib COMPONENT cpp)
# actormimic/pool/pool.hpp and actormimic/replay/ring.hpp, and what they include; every other header
# is internal. These name each other by relative paths: with a search path of their own, a host's
# common/ or pool/ in front of it would be taken for ours.
set(public_headers
  common/check.hpp
  emulator/atari_env.hpp emulator/console.hpp emulator/state_stream.hpp
  frame/area_axis.hpp frame/frame_processor.hpp frame/kernels.hpp frame/palette.hpp
  pool/batch.hpp pool/pool.hpp
  replay/mapping.hpp replay/ring.hpp replay/ring_layout.hpp replay/ring_shape.hpp
  replay/stack_format.hpp)
foreach(header IN LISTS public_headers)
  get_filename_component(floor ${header} DIRECTORY)
  install(FILES csrc/${header} DESTINATION actormimic/include/actormimic/${floor} COMPONENT cpp)
endforeach()
install(EXPORT actormimic-targets NAMESPACE actormimic:: DESTINATION ${package_folder}
  COMPONENT cpp)
include(CMakePackageConfigHelpers)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/actormimic-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES csrc/cmake/actormimic-config.cmake
  "${CMAKE_CURRENT_BINARY_DIR}/actormimic-config-version.cmake"
  DESTINATION ${package_folder} COMPONENT cpp)
