#!/usr/bin/env bash
# Rooms past comfort. Sources: 300 lines wanted, 600 at most; headers: 150 wanted, 300 at most; 25 files a
# folder. Over the wanted size is listed; over the most fails, unless tests/house/size_exceptions.txt has the
# file with a reason.
set -eu
cd "$(dirname "$0")/../.."
exceptions=tests/house/size_exceptions.txt
faults=0
while read -r lines file; do
  case $file in *.h) wanted=150 most=300 ;; *) wanted=300 most=600 ;; esac
  (( lines > wanted )) || continue
  if (( lines > most )) && ! grep -qE "^$file: .+" "$exceptions" 2>/dev/null; then
    echo "too long: $file has $lines lines (at most $most)"; faults=$((faults + 1))
  else
    echo "long:     $file has $lines lines (wanted: $wanted)"
  fi
done < <(find src tests fuzz bench \( -name '*.h' -o -name '*.cpp' -o -name '*.inc' \) -exec wc -l {} + | awk '$2 != "total"' | sort -rn)
while read -r count folder; do
  (( count > 25 )) || continue
  grep -qE "^$folder: .+" "$exceptions" 2>/dev/null && continue
  echo "too full: $folder has $count source files (at most 25)"; faults=$((faults + 1))
done < <(find src -type f -name '*.cpp' -printf '%h\n' | sort | uniq -c)
echo "sizes: $faults faults"
exit $((faults > 0))
