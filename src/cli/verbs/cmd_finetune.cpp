#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/training_options.h"

namespace pith::cli {

static void set_up(CLI::App& app) {
  auto flags = std::make_shared<TrainingFlags>();
  add_training_options(app, *flags);
  app.callback([flags] {
    run_training(*flags, "-finetuned", [](const Model& model, const TrainingData&, const TrainOptions&) {
      return TrainingLoss{cross_entropy_objective(model.config().vocab), ""};
    });
  });
}

extern const Command finetune_command;
const Command finetune_command = {
    "finetune", "train a model further on text or instructions: all of it, adapters (LoRA), or norms",
    "  pith finetune model/ --data notes.txt --epochs 2 -o tuned/\n"
    "  pith finetune model-q4_k.gguf --data chats.jsonl --lora 16 -o chats-adapter.gguf    QLoRA\n"
    "  pith finetune model/ --data chats.jsonl --lora 16 --dora -o chats-adapter/    DoRA\n"
    "  pith finetune model/ --data chats.jsonl --optimizer adamw_8bit --validation 0.05\n"
    "  pith finetune pruned/ --data c4.txt --steps 200 --checkpoint-every 50\n"
    "  pith finetune pruned/ --data c4.txt --steps 200 --checkpoint-every 50 --resume\n"
    "  mpirun -n 4 pith finetune model/ --data notes.txt    several processes, to the bytes of one",
    set_up, true};

}  // namespace pith::cli
