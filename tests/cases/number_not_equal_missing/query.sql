WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN NOT (u."score" IN (CAST('0.0' AS DOUBLE), CAST('1.5' AS DOUBLE))) THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE NOT (u."score" IN (CAST('0.0' AS DOUBLE), CAST('1.5' AS DOUBLE)))
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
