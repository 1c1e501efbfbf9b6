WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."level" IN (3, 4) THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."level" IN (3, 4)
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
