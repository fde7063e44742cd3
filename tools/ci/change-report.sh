#!/usr/bin/env bash
# What reviewers want to know of several stacks: DIRECTORY/<n>-<stack>.md is the change report against BASE, and
# DIRECTORY/<n>-<stack>.policy.md says whether the policy pack's rules are kept. Names of stacks with a breaking change
# stand in DIRECTORY/breaking.txt, of those with a broken mandatory rule in DIRECTORY/policy.txt. On GitHub these are
# the step's outputs `breaking` and `policy`, too, and the reports its summary.
# usage: tools/ci/change-report.sh BASE DIRECTORY STACK...
# Exit status 0: reported. 2: one could not be made, and the others were not tried.
set -euo pipefail

python="${PYTHON:-.venv/bin/python}"
base="$1" directory="$2"
shift 2
export COLUMNS=150

# Run a command whose exit status 1 is a finding: then the stack's name goes to the file.
judged() {
  local stack="$1" file="$2" status=0
  shift 2
  "$@" || status=$?
  case "$status" in
    0) ;;
    1) echo "$stack" >> "$file" ;;
    *) exit 2 ;;
  esac
}

mkdir -p "$directory"
breaking="$directory/breaking.txt" policy="$directory/policy.txt"
: > "$breaking"
: > "$policy"
number=0
for stack in "$@"; do
  number=$((number + 1))
  report="$directory/$number-$stack"
  judged "$stack" "$breaking" \
    "$python" -m tools.cli diff --base "$base" --stack "$stack" --out "$report.md" > /dev/null
  judged "$stack" "$policy" "$python" -m tools.cli policy --stack "$stack" > "$report.policy.txt"
  said="$(cat "$report.policy.txt")"
  cat > "$report.policy.md" << END
<details><summary>Policy of $stack: ${said##*$'\n'}</summary>

\`\`\`text
$said
\`\`\`

</details>
END
  rm "$report.policy.txt"
done

if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  # GitHub takes 1 MiB of a step, and nothing of a longer one.
  cat "$directory"/*.md | head --bytes=1000000 >> "$GITHUB_STEP_SUMMARY"
fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
  {
    echo "breaking=$(paste --serial --delimiters=' ' "$breaking")"
    echo "policy=$(paste --serial --delimiters=' ' "$policy")"
  } >> "$GITHUB_OUTPUT"
fi
