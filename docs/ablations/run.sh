#!/bin/sh
# The ablations of docs/evaluation.md, all from one model, with one seed and the same pictures:
#   sh docs/ablations/run.sh PORTRAITS OUT
# PORTRAITS: a folder of `python -m trainer.synthesize --twins N`. What is in OUT already is not made
# again; delete the folder of a run that was broken off. PYTHON, START (the model to begin with) and
# STEPS (of each game) may be set.
set -e
portraits=$1 out=$2
python=${PYTHON:-python}
start=${START:-blendgan_core/weights/starter.safetensors}
pictures="--natural $portraits/natural --art $portraits/twins/styled"
mkdir -p "$out"

make() { # FILE COMMAND..: unless FILE is there
    file=$1
    shift
    [ -e "$file" ] || "$python" -m "$@"
}

# without its D_style_latent, which knows one kind of codes and one variant of equation 8
make "$out/start.safetensors" trainer.convert "$start" --parts generator style_encoder d_face d_style \
    --out "$out/start.safetensors"

# both kinds of codes from the same pictures and the same random VGG; to each the style mapping is fitted
for codes in learned gram; do
    encoder=$out/codes_$codes/final.safetensors
    make "$encoder" trainer.style_encoder --art "$portraits/twins/styled" --codes $codes --vgg random \
        --vgg-width 8 --image-size 64 --hidden-dim 256 --z-dim 128 --batch 64 --steps 600 --save-every 300 \
        --out "$out/codes_$codes"
    make "$out/start_$codes/final.safetensors" trainer.gan $pictures --style-encoder "$encoder" \
        --init "$out/start.safetensors" --steps 0 --out "$out/start_$codes"
done

play() { # NAME CODES FLAGS..
    name=$1 codes=$2
    shift 2
    make "$out/$name/final.safetensors" trainer.gan $pictures \
        --style-encoder "$out/codes_$codes/final.safetensors" --init "$out/start_$codes/final.safetensors" \
        --r1-gamma 0.5 --ema-images 400 --path-length-weight 0 --precision bf16 --batch 8 \
        --metric-pictures 0 --steps "${STEPS:-150}" --save-every 75 --out "$out/$name" "$@"
}

both="--negatives paired mismatched"
play usual learned $both --alpha-lr 0.002
play gram_codes gram $both --alpha-lr 0.002
play alpha_1 learned $both --alpha-lr 0 --alpha-init 1
play alpha_1_gram gram $both --alpha-lr 0 --alpha-init 1
play queued learned --negatives queued --alpha-lr 0.002
play paired learned --negatives paired --alpha-lr 0.002
play mismatched learned --negatives mismatched --alpha-lr 0.002
play alpha_kept learned $both --alpha-lr 0
play alpha_half learned $both --alpha-lr 0 --alpha-init 0.5

set -- usual gram_codes queued paired mismatched alpha_kept alpha_half alpha_1 alpha_1_gram start_learned start_gram
for name; do
    report=$out/reports/$name
    make "$report/report.json" trainer.evaluate --quick --checkpoint "$out/$name/final.safetensors" \
        --out "$report"
    set -- "$@" "$report"
    shift
done
"$python" -m trainer.ablations "$@"
