WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."tags"[2] = 'music' THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."tags"[2] = 'music'
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
