#!/usr/bin/env bash
# Includes go down the ladder only: a file of src/<module>/ may include its own module and those before it.
set -eu
cd "$(dirname "$0")/../.."
ladder=(core kernels formats math io ops model train compress eval serve synth report study cli)
declare -A rank
for i in "${!ladder[@]}"; do rank[${ladder[$i]}]=$i; done
rank[eval]=${rank[compress]}  # side by side: none may include another
rank[serve]=${rank[compress]}

faults=0
while IFS=: read -r file line text; do
  from=${file#src/}; from=${from%%/*}
  to=$(sed -E 's/.*"([^/"]+)\/.*/\1/' <<<"$text")
  if [[ -z ${rank[$from]:-} ]]; then
    echo "$file: module '$from' is not on the ladder"; faults=$((faults + 1)); continue
  fi
  [[ -n ${rank[$to]:-} ]] || continue
  if [[ $from != "$to" ]] && (( rank[$to] >= rank[$from] )); then
    echo "$file:$line: $from may not include $to ($text)"; faults=$((faults + 1))
  fi
done < <(grep -rnE '^#include "[a-z_]+/' src --include='*.h' --include='*.cpp' --include='*.inc')
echo "layering: $faults faults"
exit $((faults > 0))
