#!/usr/bin/env bash
# Every source file is as clang-format would write it.
set -eu
cd "$(dirname "$0")/../.."
tool=$(command -v clang-format-14 || command -v clang-format || true)
[[ -n $tool ]] || { echo "SKIPPED: no clang-format here (scripts/setup installs it)"; exit 77; }
find src tests fuzz bench \( -name '*.h' -o -name '*.cpp' -o -name '*.inc' \) -print0 | xargs -0 "$tool" --dry-run --Werror
