# What nearly every file includes is parsed once, for `owner`. Not with clang: so the sanitizer build finds a missing include.
function(pith_precompile target owner)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    return()
  endif()
  target_compile_options(${target} PRIVATE -fpch-preprocess)  # ccache asks for it
  if(target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE <algorithm> <array> <cmath> <cstdint> <filesystem> <functional> <map> <memory>
                              <mutex> <optional> <span> <string> <variant> <vector> <fmt/format.h> ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()

# The ladder: each module may include those before it (tests/layering checks the includes). A module is a
# folder of src/; new files in it are found by themselves.
function(pith_module name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/cli/main\\.cpp$")
  set(below ${ARGN})
  list(TRANSFORM below PREPEND pith_)
  if(NOT sources)
    file(WRITE ${CMAKE_BINARY_DIR}/empty.cpp "")
    set(sources ${CMAKE_BINARY_DIR}/empty.cpp)
  endif()
  add_library(pith_${name} STATIC ${sources})
  target_link_libraries(pith_${name} PUBLIC pith_flags ${below})
  target_link_libraries(pith_${name} PRIVATE pith_checks)
  pith_precompile(pith_${name} pith_core)
endfunction()

pith_module(core)
pith_module(kernels core)
if(PITH_SANITIZE MATCHES undefined AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # Checks of every pointer that AddressSanitizer looks at, too: clang takes minutes over the kernels' vectors with them.
  add_library(pith_fewer_checks INTERFACE)  # what is linked last has the last word
  target_compile_options(pith_fewer_checks INTERFACE -fno-sanitize=null,alignment,pointer-overflow,object-size)
  target_link_libraries(pith_kernels PRIVATE pith_fewer_checks)
endif()
pith_module(formats kernels)
pith_module(math kernels)
pith_module(io core)
pith_module(ops formats math)
pith_module(model io ops math)
pith_module(train model)
pith_module(compress train)
pith_module(eval model)
pith_module(serve model)
pith_module(synth eval serve)

# The presets are files; the program carries their texts.
file(GLOB presets CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/compress/presets/*.yaml)
set(PRESETS "")
foreach(file ${presets})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  string(APPEND PRESETS "    {\"${name}\", R\"yaml(${text})yaml\"},\n")
  set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
endforeach()
configure_file(${CMAKE_SOURCE_DIR}/src/compress/presets/presets.cpp.in ${CMAKE_BINARY_DIR}/presets.cpp @ONLY)
target_sources(pith_compress PRIVATE ${CMAKE_BINARY_DIR}/presets.cpp)

# The page of `pith serve` likewise.
set(PAGE_FILE ${CMAKE_SOURCE_DIR}/src/serve/http/page.html)
file(READ ${PAGE_FILE} PAGE)
configure_file(${CMAKE_SOURCE_DIR}/src/serve/http/page.cpp.in ${CMAKE_BINARY_DIR}/page.cpp @ONLY)
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PAGE_FILE})
target_sources(pith_serve PRIVATE ${CMAKE_BINARY_DIR}/page.cpp)

pith_module(report compress synth)

# And the style of reports.
set(STYLE_FILE ${CMAKE_SOURCE_DIR}/src/report/page/style.css)
file(READ ${STYLE_FILE} STYLE)
configure_file(${CMAKE_SOURCE_DIR}/src/report/page/style.cpp.in ${CMAKE_BINARY_DIR}/style.cpp @ONLY)
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${STYLE_FILE})
target_sources(pith_report PRIVATE ${CMAKE_BINARY_DIR}/style.cpp)

pith_module(study report serve)
pith_module(cli study)

target_link_libraries(pith_core PUBLIC fmt::fmt Threads::Threads)
if(OPENMPI_FOUND)
  # For one file, and apart from the precompiled header, which may not differ from the others'.
  list(TRANSFORM OPENMPI_INCLUDE_DIRS PREPEND -isystem OUTPUT_VARIABLE MPI_INCLUDES)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/core/group_mpi.cpp PROPERTIES SKIP_PRECOMPILE_HEADERS ON
                              COMPILE_DEFINITIONS "PITH_MPI;OMPI_SKIP_MPICXX" COMPILE_OPTIONS "${MPI_INCLUDES}")
  target_link_libraries(pith_core PRIVATE ${OPENMPI_LINK_LIBRARIES})
endif()
target_link_libraries(pith_io PUBLIC nlohmann_json::nlohmann_json PRIVATE PkgConfig::PCRE2 PkgConfig::UTF8PROC PkgConfig::CRYPTO
                      PkgConfig::XXHASH)
target_link_libraries(pith_compress PRIVATE ${YAML_CPP_LIBRARIES})
target_link_libraries(pith_study PRIVATE ${YAML_CPP_LIBRARIES})
target_link_libraries(pith_math PRIVATE ${LAPACKE_LIBRARY} ${OPENBLAS_LIBRARY})
target_link_libraries(pith_ops PRIVATE ${DNNL_LIBRARY} ${GOMP_LIBRARY})
target_link_libraries(pith_serve PRIVATE PkgConfig::HTTPLIB)
target_link_libraries(pith_synth PRIVATE PkgConfig::HTTPLIB)
target_link_libraries(pith_cli PRIVATE CLI11::CLI11)
