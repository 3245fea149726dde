"""Predict with an exported network, without this project: exported.py model.onnx clip.mp4"""

import json
import sys

import cv2
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
about = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
T, h, w = about['input']['shape']
video, frames = cv2.VideoCapture(sys.argv[2]), []
while (read := video.read())[0]:
    frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
L, interval = len(frames), about['sampling'].get('frame_interval')
if interval:  # SampleFrames
    picked = (max(L - (T - 1) * interval - 1, 0) // 2 + np.arange(T) * interval) % L
else:  # UniformSample
    picked = np.round(np.arange(T) * (L - 1) / T).astype(int) + int((L - 1) / T / 2)
clip = [frames[i] for i in picked]
if about['resize']:
    scale = about['resize']['short_side'] / min(clip[0].shape[:2])
    clip = [cv2.resize(x, [int(side * scale + 0.5) for side in x.shape[1::-1]]) for x in clip]
x = np.float32(clip).transpose(3, 0, 1, 2)[None]  # (1, 3, T, H, W)
dy, dx = (x.shape[-2] - h) // 2, (x.shape[-1] - w) // 2
thirds = (0, 1, 2) if about['crop'] and about['crop']['count'] == 3 else (1,)  # 1: the centre
views = np.concatenate([x[..., i * dy : i * dy + h, i * dx : i * dx + w] for i in thirds])
scores = session.run(None, {'clip': views})[0].mean(0)
if not np.isfinite(scores).all():
    sys.exit(f'{sys.argv[2]}: the network gave scores that are not finite')
if about.get('several_labels'):
    for name, probability in zip(about['labels'], 1 / (1 + np.exp(-scores)), strict=True):
        print(name, probability)
else:
    probabilities = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    print(about['labels'][probabilities.argmax()], probabilities.max())
