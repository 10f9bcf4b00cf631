# Every library is Debian's; scripts/setup installs them.
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)  # SHA-256
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)  # what tells contents apart
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)  # HTTP, with the flags it was built with
find_library(DNNL_LIBRARY dnnl REQUIRED)
find_library(LAPACKE_LIBRARY lapacke REQUIRED)
find_library(OPENBLAS_LIBRARY openblas REQUIRED)  # LAPACK and BLAS
find_package(CLI11 REQUIRED)
find_package(yaml-cpp REQUIRED)  # recipes
find_package(Threads REQUIRED)
pkg_check_modules(OPENMPI ompi-c)  # several processes; without it pith runs as one
find_library(GOMP_LIBRARY NAMES libgomp.so.1 gomp REQUIRED)  # oneDNN's threads, which ours keep to themselves

add_library(pith_flags INTERFACE)
target_include_directories(pith_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(pith_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror -Wno-psabi -ffp-contract=off
                       # of strings from a precompiled header g++ 12 sees overruns that are none
                       "$<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-restrict;-Wno-stringop-overflow;-Wno-stringop-overread>")
target_compile_definitions(pith_flags INTERFACE PITH_VERSION="${PROJECT_VERSION}")
add_library(pith_checks INTERFACE)  # of each module, not of those above it
if(PITH_SANITIZE)
  # The checks woven in make g++ see paths that are none.
  target_compile_options(pith_checks INTERFACE -fsanitize=${PITH_SANITIZE} -fno-sanitize-recover=all
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(pith_flags INTERFACE -fsanitize=${PITH_SANITIZE})
endif()
if(PITH_FUZZ)
  target_compile_options(pith_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
