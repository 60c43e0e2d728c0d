// People who point, without a table: a hand, its arm, and a head, before a wall, in any light.
//   stage: {camera: {width, height, K, T_base_cam}, heads: [{positions, colours, indices}], seed}
//   frame: {bones: 25 x 16, tone, sleeve, wall (CSS colours), arm: pose of the forearm (16; it lies
//           along +z from the wrist), head: {index, pose (16)} or null, sun: {from (3), colour, intensity}, sky, clutter: [{place (3), size (3), paint}]}
// Units are metres in the base frame; matrices are row by row.
import * as THREE from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { arm, png, skin, surface } from "/page/parts.js";

const HAND = "/node_modules/@webxr-input-profiles/assets/dist/profiles/generic-hand/right.glb";
let renderer, scene, camera, hand, sleeve, heads, sun, sky, wall, clutter, picture, pencil;

function headMesh({ positions, colours, indices }) {
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.Float32BufferAttribute(positions, 3));
  geometry.setAttribute("color", new THREE.Float32BufferAttribute(colours, 3));
  geometry.setIndex(indices);
  geometry.computeVertexNormals();
  const material = new THREE.MeshStandardMaterial({ roughness: 0.6, vertexColors: true, side: THREE.DoubleSide });
  const mesh = new THREE.Mesh(geometry, material);
  mesh.castShadow = mesh.receiveShadow = true;
  mesh.matrixAutoUpdate = false;
  return mesh;
}

window.setUp = async (stage) => {
  const { width, height, K, T_base_cam } = stage.camera;
  scene = new THREE.Scene();
  renderer ??= new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
  renderer.setSize(width, height, false);
  renderer.shadowMap.enabled = true;
  renderer.toneMapping = THREE.NeutralToneMapping;
  camera = new THREE.PerspectiveCamera((2 * Math.atan(height / 2 / K[1][1]) * 180) / Math.PI, width / height, 0.02, 20);
  camera.matrixAutoUpdate = false;
  camera.matrix.set(...T_base_cam.flat()).multiply(new THREE.Matrix4().makeScale(1, -1, -1));
  camera.matrixWorldNeedsUpdate = true;

  // A wall across the line of sight, 3.5 m away.
  const map = surface(stage.seed, [215, 215, 215], { blotch: 0.08, grain: 0.08, streak: 20 });
  wall = new THREE.Mesh(new THREE.PlaneGeometry(12, 12), new THREE.MeshStandardMaterial({ map, roughness: 1 }));
  wall.applyMatrix4(new THREE.Matrix4().makeTranslation(0, 0, -3.5));
  wall.applyMatrix4(camera.matrix);
  sun = new THREE.DirectionalLight();
  sun.castShadow = true;
  sun.shadow.mapSize.set(1024, 1024);
  sun.shadow.radius = 4;
  sun.shadow.bias = -0.0005;
  sun.shadow.normalBias = 0.004;
  Object.assign(sun.shadow.camera, { left: -1, right: 1, top: 1, bottom: -1, near: 0.2, far: 6 });
  sky = new THREE.HemisphereLight(0xf4f7ff, 0x8a8378, 1);
  hand = skin(await new GLTFLoader().loadAsync(HAND));
  sleeve = arm();
  heads = stage.heads.map(headMesh);
  clutter = new THREE.Group();
  scene.add(wall, sun, sun.target, sky, hand.group, sleeve, clutter, ...heads);
  picture = new OffscreenCanvas(width, height);
  pencil = picture.getContext("2d");
};

function light({ sun: { from, colour, intensity }, sky: strength }, middle) {
  sun.color.set(colour);
  sun.intensity = intensity;
  sun.target.position.copy(middle);
  sun.position.copy(middle).addScaledVector(new THREE.Vector3(...from), 2.5);
  sky.intensity = strength;
}

window.draw = async (frame) => {
  hand.bones.forEach((bone, i) => bone.matrixWorld.set(...frame.bones[i]));
  hand.mesh.material.color.set(frame.tone);
  sleeve.matrix.set(...frame.arm);
  sleeve.matrixWorldNeedsUpdate = true;
  sleeve.children[0].material.color.set(frame.tone);
  sleeve.children[1].material.color.set(frame.sleeve);
  const middle = new THREE.Vector3().setFromMatrixPosition(sleeve.matrix);
  heads.forEach((mesh, i) => {
    mesh.visible = frame.head !== null && frame.head.index === i;
    if (!mesh.visible) return;
    mesh.matrix.set(...frame.head.pose);
    mesh.matrixWorldNeedsUpdate = true;
  });
  wall.material.color.set(frame.wall);
  clutter.clear();
  for (const { place, size, paint } of frame.clutter) {
    const mesh = new THREE.Mesh(new THREE.BoxGeometry(...size), new THREE.MeshStandardMaterial({ color: paint, roughness: 0.8 }));
    mesh.position.set(...place);
    clutter.add(mesh);
  }
  light(frame, middle);
  renderer.render(scene, camera);
  pencil.drawImage(renderer.domElement, 0, 0, picture.width, picture.height);
  return png(picture);
};
