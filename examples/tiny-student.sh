#!/usr/bin/env bash
# A student of 2 million parameters that tells little stories, taught by a model of 135 million from nothing but the
# teacher's own words: no data set is needed.
#
#   examples/tiny-student.sh [FOLDER]      everything is written there (default: tiny-student)
#
# Each step is skipped when its result is there, so a stopped run is simply run again. Measured: docs/training.md. QUESTIONS
# (200, of 600) and STEPS (230) make more of it.
set -eu
pith=${PITH:-build/release/pith}
teacher=${TEACHER:-$HOME/.cache/pith/SmolLM2-135M-Instruct.Q4_1.gguf}  # scripts/fetch-model brings it
out=${1:-tiny-student}
mkdir -p "$out"

# 1. Questions: an animal or a person, and a thing.
for who in cat dog bird mouse rabbit fox bear duck frog horse cow pig lion girl boy owl bee fish turtle monkey; do
  for what in ball tree cake boat kite hat flower river star house garden book drum apple bridge "new friend" storm \
    lamp box song key shoe cloud snowman train bell rainbow mirror kitten swing; do
    echo "Write a very short story for little children about a $who and a $what. Use simple words and short sentences." \
      'Begin with "Once upon a time".'
  done
done | head -n "${QUESTIONS:-200}" > "$out/questions.txt"

# 2. The teacher's answers, two for each question; those that repeat themselves are dropped.
[[ -e $out/stories.jsonl ]] ||
  "$pith" synthesize seqkd --teacher "$teacher" --data "$out/questions.txt" --samples 2 -t 0.6 -n 112 \
    --keep-unfinished --slots 32 -o "$out/stories.jsonl"

# 3. The teacher with only the 2048 tokens that these stories need most; everything else is spelled in smaller ones.
[[ -e $out/base ]] || "$pith" convert "$teacher" --format bf16 --embed-format bf16 --to hf -o "$out/base"
[[ -e $out/teacher ]] ||
  "$pith" prune "$out/base" --method vocabulary --set tokens=2048 --calibrate "$out/stories.jsonl" \
    --calibrate-samples 400 --calibrate-length 200 -o "$out/teacher"

# 4. The student: the teacher cut to a third of its width and four of its thirty blocks; what is left says nothing yet.
[[ -e $out/untaught ]] ||
  "$pith" prune "$out/teacher" --method minitron --set hidden=192 layers=4 kv-heads=1 neurons=512 \
    --calibrate "$out/stories.jsonl" --calibrate-samples 8 --calibrate-length 128 -o "$out/untaught"

# 5. It learns the teacher's words (sequence-level distillation, arXiv:1606.07947). Five passes: with so few stories more of
#    them are learned by heart, as the loss of the stories kept back says.
[[ -e $out/student ]] ||
  "$pith" finetune "$out/untaught" --data "$out/stories.jsonl" --length 224 --batch 8 --steps "${STEPS:-230}" \
    --rate 3e-3 --validation 0.05 --checkpoint-every 46 --resume -o "$out/student"

# 6. What it says.
for seed in 1 2 3; do
  "$pith" generate "$out/student" --chat --exact -n 90 -t 0.4 --repetition-penalty 1.15 --seed "$seed" \
    'Write a very short story for little children about a dog and a star. Use simple words and short sentences. Begin with "Once upon a time".'
done
